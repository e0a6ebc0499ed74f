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
#include "os/proc.h"
#include "services/image_dump.h"
#include "services/image_memory.h"
#include "services/image_proxy.h"
#include "services/remote_dump.h"
#include "services/stream_request.h"
#include "wire/liveness.h"

#define MIB		(1UL << 20)
#define LOST_MS		30000	/* a link whose other kernel is silent for so long is lost */

/** struct image_proxy - @dumps comes first: it is the loop's ctx; @remote: the dump of the original protocol; @memory: that of a page server */
struct image_proxy {
	struct image_dumps dumps;
	struct image_options opts;
	struct remote_dump remote;
	struct image_memory memory;
	struct image_tally tally;
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
	image_uplink_limit(&proxy->up, proxy->opts.timeout_s);
	remote_dump_look(&proxy->remote);
	image_memory_look(&proxy->memory);
	pthread_mutex_lock(&proxy->up.lock);
	lost = proxy->up.lost;
	pthread_mutex_unlock(&proxy->up.lock);
	pthread_mutex_lock(&proxy->tally.lock);
	ended = proxy->opts.once && (proxy->tally.complete || proxy->tally.failed);
	pthread_mutex_unlock(&proxy->tally.lock);
	if (lost || ended)
		atomic_store(&proxy->loop.stop, true);
}

static int open_link(struct image_proxy *proxy)
{
	const struct image_options *opts = &proxy->opts;
	int fd = opts->address ? conn_dial(opts->address, &proxy->err) : opts->link_fd, type = 0;
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

static void tell_door(const struct image_door *door)
{
	char text[256];

	snprintf(text, sizeof(text), "waiting for criu dump --%s at %s",
		 door->remote ? "remote" : "stream", door->path);
	report_both("listening", json_pack("{s:o,s:o}", "id", report_text(door->id),
					   "path", report_text(door->path)), text);
}

static int open_remote(struct image_proxy *proxy)
{
	if (image_loop_add_remote(&proxy->loop, proxy->opts.remote_socket, &proxy->err))
		return -1;
	proxy->remote.id = proxy->loop.doors[0].id;
	proxy->remote.leave_running = proxy->opts.leave_running;
	proxy->dumps.remote = &proxy->remote;
	return 0;
}

/* The one images directory is the last door. */
static int open_memory(struct image_proxy *proxy)
{
	proxy->dumps.memory = &proxy->memory;
	return image_memory_open(&proxy->memory, proxy->opts.page_server,
				 proxy->loop.doors[proxy->loop.nr_doors - 1].id,
				 proxy->opts.max_mib, &proxy->err);
}

static int open_doors(struct image_proxy *proxy)
{
	if (proxy->opts.remote_socket && open_remote(proxy))
		return -1;
	for (size_t i = 0; i < proxy->opts.nr_dirs; i++)
		if (image_loop_add_door(&proxy->loop, proxy->opts.dirs[i], STREAM_CAPTURE_SOCKET,
					&proxy->err))
			return -1;
	if (proxy->opts.page_server && open_memory(proxy))
		return -1;
	for (size_t i = 0; i < proxy->loop.nr_doors; i++)
		tell_door(&proxy->loop.doors[i]);
	return 0;
}

static void serve_client(struct image_client *client)
{
	struct image_dumps *dumps = client->loop->ctx;

	if (client->door->remote)
		remote_dump_serve(dumps->remote, client);
	else
		image_dump_serve(client);
}

static void tell_result(struct image_proxy *proxy)
{
	const struct image_tally *tally = &proxy->tally;

	if (error_is_set(&proxy->err))
		report_error(&proxy->err);
	report_event("result", json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I}", "exit", proxy->err.code,
					 "class", error_code_name(proxy->err.code),
					 "complete", (json_int_t)tally->complete,
					 "failed", (json_int_t)tally->failed,
					 "strangers", (json_int_t)tally->strangers,
					 "images", (json_int_t)tally->images,
					 "bytes", (json_int_t)tally->bytes));
}

/* What the end of the proxy is: a link that is lost before a dump was complete fails a --once. */
static void settle(struct image_proxy *proxy)
{
	const struct image_tally *tally = &proxy->tally;

	if (proxy->opts.once && tally->failed)
		proxy->err = tally->last;
	else if (!proxy->loop.signalled && !(proxy->opts.once && tally->complete))
		error_set(&proxy->err, proxy->up.err.code, proxy->up.err.hint, "%s", proxy->up.err.what);
	else if (proxy->loop.signalled && (tally->failed || (proxy->opts.once && !tally->complete)))
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
		remote_dump_close(&proxy->remote);
		image_memory_close(&proxy->memory);
		settle(proxy);
	} else {
		image_loop_end(&proxy->loop);
		remote_dump_close(&proxy->remote);
		image_memory_close(&proxy->memory);
	}
	image_uplink_close(&proxy->up);
}

int image_proxy_run(const struct image_options *opts)
{
	static struct image_proxy proxy;

	proxy = (struct image_proxy){
		.opts = *opts, .loop = { .serve = serve_client, .tick = tick, .ctx = &proxy,
					 .signals = -1, .wake_fd = -1 },
	};
	fds_allow_many();
	/* a log whose reader hangs must not hold up a dump */
	report_share_output();
	image_tally_init(&proxy.tally);
	image_dumps_init(&proxy.dumps, &proxy.up, &proxy.tally);
	image_memory_init(&proxy.memory, &proxy.up, &proxy.tally, &proxy.loop);
	proxy.dumps.leave_running = opts->leave_running;
	proxy.memory.leave_running = opts->leave_running;
	if (!image_loop_init(&proxy.loop, &proxy.err) &&
	    !remote_dump_init(&proxy.remote, &proxy.up, &proxy.tally, opts->max_mib * MIB, &proxy.err) &&
	    !open_link(&proxy))
		serve(&proxy);
	else
		image_loop_end(&proxy.loop);
	tell_result(&proxy);
	return proxy.err.code;
}

int image_proxy_confirm(const char *images_dir, const char *action, pid_t root)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), root_fd;
	struct error err = { 0 };
	bool arrived = false;

	if (strcmp(action, "post-dump"))
		return CODE_OK;
	root_fd = root > 0 ? proc_pidfd(root, &err) : -1;
	if (root_fd < 0)
		fprintf(stderr, "migrate-helper: no pidfd of the program's first process: %s\n",
			root > 0 ? err.what : "CRTOOLS_INIT_PID is missing");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" STREAM_CAPTURE_SOCKET, images_dir);
	if (fd < 0 || connect(fd, (void *)&addr, sizeof(addr)))
		fprintf(stderr, "migrate-helper: no image-proxy at %s\n", addr.sun_path);
	else if (stream_request_confirm(fd, root_fd) || stream_reply_read(fd, &arrived) || !arrived)
		fputs("migrate-helper: not all images arrived: the dump is void\n", stderr);
	if (root_fd >= 0)
		close(root_fd);
	if (fd >= 0)
		close(fd);
	return arrived ? CODE_OK : CODE_PEER;
}
