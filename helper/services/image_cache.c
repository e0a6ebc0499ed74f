// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/report.h"
#include "base/text.h"
#include "os/fds.h"
#include "services/image_cache.h"
#include "services/image_downlink.h"
#include "services/image_restore.h"
#include "services/remote_restore.h"
#include "services/stream_request.h"
#include "wire/listener.h"

#define LOST_MS		30000	/* a link whose other kernel is silent for so long is lost */
#define MIB		(1UL << 20)

/**
 * struct image_cache - @restores comes first: it is the loop's ctx; @socket: the file of a UNIX socket
 * @remote: the restore of the original protocol
 * @warned: a signal came while there were images that no restore has had: the next one ends the cache, or their restores
 */
struct image_cache {
	struct image_restores restores;
	struct remote_restore remote;
	struct image_options opts;
	struct image_store store;
	struct image_downlink down;
	struct image_loop loop;
	struct unix_file socket;
	struct listener listener;
	bool stranded, warned;
	struct error err;
};

static void link_ended(void *ctx)
{
	image_loop_wake(&((struct image_cache *)ctx)->loop);
}

/* One proxy at a time: further ones wait in the socket's queue. */
static void watch_listener(struct image_cache *cache)
{
	cache->loop.extra_fd = cache->down.started ? -1 : listener_poll_fd(&cache->listener);
}

static int start_link(struct image_cache *cache, int fd, struct error *err)
{
	cache->down.on_end = link_ended;
	cache->down.ctx = cache;
	return image_downlink_open(&cache->down, &cache->store, fd, err);
}

static void accept_link(void *ctx)
{
	struct image_cache *cache = ctx;
	struct error err = { 0 };
	int fd = listener_accept(&cache->listener, NULL, NULL);

	if (fd >= 0 && start_link(cache, fd, &err))
		report_error(&err);
}

static void settle_link(struct image_cache *cache)
{
	struct image_downlink *down = &cache->down;

	image_downlink_close(down);
	if (error_is_set(&down->err))
		report_error(&down->err);
	report_both("unlinked", NULL, "the connection to the proxy has ended");
}

/* With a descriptor for a link no other link comes: what is left to do is to serve what is complete. */
static bool is_useless(struct image_cache *cache)
{
	bool useless;

	if (cache->listener.fd >= 0 || cache->down.started)
		return false;
	pthread_mutex_lock(&cache->store.lock);
	useless = !cache->store.dumps;
	pthread_mutex_unlock(&cache->store.lock);
	return useless;
}

static void tick(void *ctx)
{
	struct image_cache *cache = ctx;
	bool once;

	if (cache->down.started && cache->down.ended)
		settle_link(cache);
	else if (cache->down.started && liveness_is_lost(&cache->down.live, LOST_MS))
		conn_shutdown(&cache->down.conn);
	remote_restore_look(&cache->remote);
	pthread_mutex_lock(&cache->restores.lock);
	once = cache->opts.once && cache->restores.restored;
	pthread_mutex_unlock(&cache->restores.lock);
	cache->stranded = !once && is_useless(cache);
	if (once || cache->stranded || (cache->warned && !image_store_only(&cache->store)))
		atomic_store(&cache->loop.stop, true);
	watch_listener(cache);
}

/* What is here is gone when the process ends. */
static bool may_end(void *ctx)
{
	struct image_cache *cache = ctx;
	size_t nr = image_store_only(&cache->store);

	if (!nr || cache->warned)
		return true;
	cache->warned = true;
	report_say("%s may be all that there is of a program: restore it. A second signal ends the cache, and the images are lost",
		   text_count(nr, "dump that no restore has had", "dumps that no restore has had").text);
	return false;
}

static int open_listener(struct image_cache *cache)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char text[256], name[112];
	int port = 0, fd = conn_listen(cache->opts.address, &cache->err);

	if (fd < 0)
		return -1;
	listener_init(&cache->listener, fd);
	if (unix_path(cache->opts.address) &&
	    unix_note(unix_path(cache->opts.address), &cache->socket, &cache->err))
		return -1;
	getsockname(fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	if (addr.ss_family == AF_INET6)
		port = ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	else if (addr.ss_family == AF_INET)
		port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
	snprintf(text, sizeof(text), "waiting for image-proxy at %s", name);
	report_both("listening", json_pack("{s:o,s:i}", "address", report_text(name), "port", port),
		    text);
	watch_listener(cache);
	return 0;
}

static int take_link(struct image_cache *cache)
{
	socklen_t len = sizeof(int);
	int type = 0;

	if (getsockopt(cache->opts.link_fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(&cache->err, CODE_USAGE, NULL,
				 "descriptor %d is no connected stream socket", cache->opts.link_fd);
	return start_link(cache, cache->opts.link_fd, &cache->err);
}

static void tell_door(const struct image_door *door)
{
	char text[256];

	snprintf(text, sizeof(text), "waiting for criu restore --%s at %s",
		 door->remote ? "remote" : "stream", door->path);
	report_both("serving", json_pack("{s:o,s:o}", "id", report_text(door->id),
					 "path", report_text(door->path)), text);
}

static int open_doors(struct image_cache *cache)
{
	const char *remote = cache->opts.remote_socket;

	if (remote && image_loop_add_remote(&cache->loop, remote, &cache->err))
		return -1;
	for (size_t i = 0; i < cache->opts.nr_dirs; i++)
		if (image_loop_add_door(&cache->loop, cache->opts.dirs[i], STREAM_SERVE_SOCKET,
					&cache->err))
			return -1;
	for (size_t i = 0; i < cache->loop.nr_doors; i++)
		tell_door(&cache->loop.doors[i]);
	return 0;
}

static void serve_client(struct image_client *client)
{
	struct image_cache *cache = client->loop->ctx;

	if (client->door->remote)
		remote_restore_serve(&cache->remote, client);
	else
		image_restore_serve(client);
}

static void tell_result(struct image_cache *cache)
{
	struct image_restores *restores = &cache->restores;

	if (error_is_set(&cache->err))
		report_error(&cache->err);
	report_event("result", json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "exit", cache->err.code,
					 "class", error_code_name(cache->err.code),
					 "complete", (json_int_t)cache->down.complete,
					 "failed", (json_int_t)cache->down.failed,
					 "bytes", (json_int_t)cache->down.bytes,
					 "restored", (json_int_t)restores->restored,
					 "unrestored", (json_int_t)restores->failed,
					 "images", (json_int_t)restores->images));
}

/* Requests that wait for the link's end, or for memory, go on at once. */
static void stop_waiting(struct image_cache *cache)
{
	atomic_store(&cache->loop.stop, true);
	pthread_mutex_lock(&cache->store.lock);
	cache->store.stop = true;
	pthread_cond_broadcast(&cache->store.changed);
	pthread_mutex_unlock(&cache->store.lock);
}

static void end(struct image_cache *cache)
{
	stop_waiting(cache);
	image_downlink_close(&cache->down);
	image_loop_end(&cache->loop);
	remote_restore_close(&cache->remote);
	if (cache->listener.fd >= 0) {
		if (unix_path(cache->opts.address))
			unix_remove(unix_path(cache->opts.address), &cache->socket);
		listener_close(&cache->listener);
	}
	image_store_free(&cache->store);
}

static void settle(struct image_cache *cache)
{
	if (cache->opts.once && cache->restores.restored)
		return;
	if (cache->stranded && cache->down.failed)
		error_set(&cache->err, CODE_NETWORK, NULL, "the link was lost, and no dump is complete");
	else if (cache->opts.once)
		error_set(&cache->err, CODE_ABORTED, NULL, "the cache was ended before a restore");
}

int image_cache_run(const struct image_options *opts)
{
	static struct image_cache cache;

	cache = (struct image_cache){
		.opts = *opts, .listener.fd = -1,
		.loop = { .serve = serve_client, .extra = accept_link, .tick = tick, .may_end = may_end,
			  .ctx = &cache, .signals = -1, .wake_fd = -1 },
	};
	fds_allow_many();
	report_share_output();
	image_store_init(&cache.store, opts->max_mib * MIB);
	cache.restores.store = &cache.store;
	pthread_mutex_init(&cache.restores.lock, NULL);
	remote_restore_init(&cache.remote, &cache.restores);
	if (!image_loop_init(&cache.loop, &cache.err) && !open_doors(&cache) &&
	    !(opts->address ? open_listener(&cache) : take_link(&cache))) {
		image_loop_run(&cache.loop);
		settle(&cache);
	}
	end(&cache);
	tell_result(&cache);
	return cache.err.code;
}
