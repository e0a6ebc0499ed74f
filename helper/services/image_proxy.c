// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/report.h"
#include "os/fds.h"
#include "services/image_dump.h"
#include "services/image_proxy.h"
#include "services/stream_request.h"
#include "wire/liveness.h"

#define LOST_MS		30000	/* a link whose other kernel is silent for so long is lost */

/** struct image_proxy - @dumps comes first: it is the loop's ctx */
struct image_proxy {
	struct image_dumps dumps;
	struct image_proxy_options opts;
	struct image_uplink up;
	struct image_loop loop;
	struct liveness live;
	struct error err;
};

static void on_lost(void *ctx)
{
	image_loop_wake(ctx);
}

static void tick(void *ctx)
{
	struct image_proxy *proxy = ctx;
	bool lost, ended;

	if (liveness_is_lost(&proxy->live, LOST_MS))
		image_uplink_cut(&proxy->up);
	pthread_mutex_lock(&proxy->up.lock);
	lost = proxy->up.lost;
	pthread_mutex_unlock(&proxy->up.lock);
	pthread_mutex_lock(&proxy->dumps.lock);
	ended = proxy->opts.once && (proxy->dumps.complete || proxy->dumps.failed);
	pthread_mutex_unlock(&proxy->dumps.lock);
	if (lost || ended)
		atomic_store(&proxy->loop.stop, true);
}

static int open_link(struct image_proxy *proxy)
{
	const struct image_proxy_options *opts = &proxy->opts;
	int fd = opts->to ? conn_dial(opts->to, &proxy->err) : opts->link_fd, type = 0;
	socklen_t len = sizeof(type);

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(&proxy->err, CODE_USAGE, NULL,
				 "descriptor %d is no connected stream socket", fd);
	liveness_init(&proxy->live, fd);
	proxy->up.on_lost = on_lost;
	proxy->up.ctx = &proxy->loop;
	return image_uplink_open(&proxy->up, fd, &proxy->err);
}

static int open_doors(struct image_proxy *proxy)
{
	char text[256];

	for (size_t i = 0; i < proxy->opts.nr_dirs; i++)
		if (image_loop_add_door(&proxy->loop, proxy->opts.dirs[i], STREAM_CAPTURE_SOCKET,
					&proxy->err))
			return -1;
	for (size_t i = 0; i < proxy->loop.nr_doors; i++) {
		const struct image_door *door = &proxy->loop.doors[i];

		snprintf(text, sizeof(text), "waiting for criu dump --stream at %s", door->path);
		report_both("listening", json_pack("{s:o,s:o}", "id", report_text(door->id),
						   "path", report_text(door->path)), text);
	}
	return 0;
}

static void tell_result(struct image_proxy *proxy)
{
	struct image_dumps *dumps = &proxy->dumps;

	if (error_is_set(&proxy->err))
		report_error(&proxy->err);
	report_event("result", json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I}", "exit", proxy->err.code,
					 "class", error_code_name(proxy->err.code),
					 "complete", (json_int_t)dumps->complete,
					 "failed", (json_int_t)dumps->failed,
					 "strangers", (json_int_t)dumps->strangers,
					 "images", (json_int_t)dumps->images,
					 "bytes", (json_int_t)dumps->bytes));
}

/* What the end of the proxy is: a link that is lost before a dump was complete fails a --once. */
static void settle(struct image_proxy *proxy)
{
	struct image_dumps *dumps = &proxy->dumps;

	if (proxy->opts.once && dumps->failed)
		proxy->err = dumps->last;
	else if (!proxy->loop.signalled && !(proxy->opts.once && dumps->complete))
		error_set(&proxy->err, proxy->up.err.code, proxy->up.err.hint, "%s", proxy->up.err.what);
	else if (proxy->loop.signalled && (dumps->failed || (proxy->opts.once && !dumps->complete)))
		error_set(&proxy->err, CODE_ABORTED, NULL,
			  "the proxy was ended before all dumps were complete");
}

static void serve(struct image_proxy *proxy)
{
	if (!open_doors(proxy)) {
		image_loop_run(&proxy->loop);
		/* dumps that are under way fail: nothing of them may wait for the link */
		image_uplink_cut(&proxy->up);
		image_loop_end(&proxy->loop);
		settle(proxy);
	} else {
		image_loop_end(&proxy->loop);
	}
	image_uplink_close(&proxy->up);
}

int image_proxy_run(const struct image_proxy_options *opts)
{
	static struct image_proxy proxy;

	proxy = (struct image_proxy){
		.opts = *opts, .loop = { .serve = image_dump_serve, .tick = tick, .ctx = &proxy,
					 .signals = -1, .wake_fd = -1 },
	};
	fds_allow_many();
	/* a log whose reader hangs must not hold up a dump */
	report_share_output();
	image_dumps_init(&proxy.dumps, &proxy.up);
	if (!image_loop_init(&proxy.loop, &proxy.err) && !open_link(&proxy))
		serve(&proxy);
	else
		image_loop_end(&proxy.loop);
	tell_result(&proxy);
	return proxy.err.code;
}

int image_proxy_confirm(const char *images_dir, const char *action)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool arrived = false;

	if (strcmp(action, "post-dump"))
		return CODE_OK;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" STREAM_CAPTURE_SOCKET, images_dir);
	if (fd < 0 || connect(fd, (void *)&addr, sizeof(addr)))
		fprintf(stderr, "migrate-helper: no image-proxy at %s\n", addr.sun_path);
	else if (stream_request_confirm(fd) || stream_reply_read(fd, &arrived) || !arrived)
		fputs("migrate-helper: not all images arrived: the dump is void\n", stderr);
	if (fd >= 0)
		close(fd);
	return arrived ? CODE_OK : CODE_PEER;
}
