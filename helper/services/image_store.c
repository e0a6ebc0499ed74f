// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "services/image_store.h"

#define SMALL_BYTES	(64U << 10)	/* images up to here need no memfd: a tree has thousands of them */
#define LOOK_MS		500

void image_store_init(struct image_store *store, uint64_t max_bytes)
{
	*store = (struct image_store){ .max_bytes = max_bytes, .linked = true };
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->changed, NULL);
}

static void image_free(void *node)
{
	struct stored_image *image = node;

	if (image->fd >= 0)
		close(image->fd);
	free(image->data);
	free(image->parts);
	free(image);
}

/* The caller holds the lock, or is the last one. */
static void remove_dump(struct image_store *store, struct stored_dump *dump)
{
	struct stored_dump **at = &store->dumps;

	while (*at != dump)
		at = &(*at)->next;
	*at = dump->next;
	store->used -= dump->used;
	tdestroy(dump->images, image_free);
	free(dump);
	pthread_cond_broadcast(&store->changed);
}

void image_store_free(struct image_store *store)
{
	while (store->dumps)
		remove_dump(store, store->dumps);
}

/* Whether a restore is at work, which frees its dump's memory; the caller holds the lock */
static bool is_read(const struct image_store *store)
{
	for (const struct stored_dump *dump = store->dumps; dump; dump = dump->next)
		if (dump->readers)
			return true;
	return false;
}

static bool has_hung_up(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* The caller holds the lock. */
static void wait_for_change(struct image_store *store)
{
	struct timespec until = clock_in_ms(CLOCK_REALTIME, LOOK_MS);

	pthread_cond_timedwait(&store->changed, &store->lock, &until);
}

/* Let @bytes count for the dump, when they fit; the caller holds the lock */
static int count(struct image_store *store, struct stored_dump *dump, uint32_t bytes, struct error *err)
{
	while (store->used + bytes > store->max_bytes) {
		if (!is_read(store) || store->stop)
			return error_set(err, CODE_NOT_READY, NULL,
					 "the images need more than --max-memory, %" PRIu64 " MiB",
					 store->max_bytes >> 20);
		if (has_hung_up(dump->link_fd))
			return error_set(err, CODE_NETWORK, NULL,
					 "the link was lost while the dump waited for memory");
		wait_for_change(store);
	}
	store->used += bytes;
	dump->used += bytes;
	return 0;
}

struct stored_dump *image_store_begin(struct image_store *store, const char *id, int link_fd,
				      struct error *err)
{
	struct stored_dump *dump = calloc(1, sizeof(*dump));
	int ret;

	if (!dump) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a dump");
		return NULL;
	}
	strcpy(dump->id, id);
	dump->link_fd = link_fd;
	pthread_mutex_lock(&store->lock);
	ret = count(store, dump, STORED_OVERHEAD, err);
	if (!ret) {
		dump->next = store->dumps;
		store->dumps = dump;
	}
	pthread_mutex_unlock(&store->lock);
	if (!ret)
		return dump;
	free(dump);
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct stored_image *)a)->name,
		      ((const struct stored_image *)b)->name);
}

struct stored_image *image_store_image(struct image_store *store, struct stored_dump *dump,
				       const char *name, struct error *err)
{
	struct stored_image *image = calloc(1, sizeof(*image)), **node = NULL;

	if (!image) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for an image");
		return NULL;
	}
	image->fd = -1;
	strcpy(image->name, name);
	pthread_mutex_lock(&store->lock);
	if (!count(store, dump, STORED_OVERHEAD, err) && dump->nr_images < STORED_IMAGES_MAX)
		node = tsearch(image, &dump->images, compare_names);
	if (node && *node == image)
		dump->nr_images++;
	pthread_mutex_unlock(&store->lock);
	if (node && *node == image)
		return image;
	error_set(err, CODE_PEER, NULL, node ? "the image %.64s came twice" : "no memory for %.64s",
		  name);
	free(image);
	return NULL;
}

static int no_memory(struct error *err)
{
	return error_errno(err, CODE_INTERNAL, NULL, "no memory for an image");
}

static int grow_small(struct stored_image *image, size_t need, struct error *err)
{
	size_t room = image->room ? image->room : 512;
	uint8_t *data;

	while (room < need)
		room *= 2;
	if (room == image->room)
		return 0;
	data = realloc(image->data, room);
	if (!data)
		return no_memory(err);
	image->data = data;
	image->room = room;
	return 0;
}

static int make_large(struct stored_image *image, struct error *err)
{
	image->fd = memfd_create("image", MFD_CLOEXEC);
	if (image->fd < 0 || io_pwrite_all(image->fd, image->data, image->bytes, 0))
		return no_memory(err);
	free(image->data);
	image->data = NULL;
	image->room = 0;
	return 0;
}

int image_store_reserve(struct image_store *store, struct stored_dump *dump,
			struct stored_image *image, uint32_t bytes, struct error *err)
{
	int ret;

	pthread_mutex_lock(&store->lock);
	ret = count(store, dump, bytes, err);
	if (!ret && image)
		dump->bytes += bytes;
	pthread_mutex_unlock(&store->lock);
	if (ret || !image || image->fd >= 0)
		return ret;
	return image->bytes + bytes <= SMALL_BYTES ? grow_small(image, image->bytes + bytes, err) :
						     make_large(image, err);
}

/* From the pipe into the memfd: the only copy on this machine up to CRIU's own. */
static int empty_pipe(struct stored_image *image, int pipe_fd, size_t bytes, off_t *at,
		      struct error *err)
{
	while (bytes) {
		ssize_t n = splice(pipe_fd, NULL, image->fd, at, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return no_memory(err);
		bytes -= n;
	}
	return 0;
}

static int take_large(struct stored_image *image, const struct conn *conn, const int pipe[2],
		      uint32_t bytes, struct error *err)
{
	off_t at = image->bytes;

	while (bytes) {
		ssize_t n = splice(conn->fd, NULL, pipe[1], NULL, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, CODE_NETWORK, NULL, "link lost while receiving");
		if (!n)
			return error_set(err, CODE_NETWORK, NULL, "the proxy closed the connection");
		if (empty_pipe(image, pipe[0], n, &at, err))
			return -1;
		bytes -= n;
	}
	return 0;
}

int image_store_take(struct stored_image *image, const struct conn *conn, const int pipe[2],
		     uint32_t bytes, struct error *err)
{
	int ret = image->fd < 0 ? conn_read(conn, image->data + image->bytes, bytes, 0, err) :
				  take_large(image, conn, pipe, bytes, err);

	if (!ret)
		image->bytes += bytes;
	return ret;
}

static int read_pipe(int pipe_fd, uint8_t *to, size_t bytes)
{
	while (bytes) {
		ssize_t n = read(pipe_fd, to, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		to += n;
		bytes -= n;
	}
	return 0;
}

int image_store_take_pipe(struct stored_image *image, int pipe_fd, uint32_t bytes,
			  struct error *err)
{
	off_t at = image->bytes;

	if (image->fd >= 0 ? empty_pipe(image, pipe_fd, bytes, &at, err) :
			     read_pipe(pipe_fd, image->data + image->bytes, bytes))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read an image");
	image->bytes += bytes;
	return 0;
}

int image_store_add(struct stored_image *image, const void *data, uint32_t bytes,
		    struct error *err)
{
	if (image->fd < 0)
		memcpy(image->data + image->bytes, data, bytes);
	else if (io_pwrite_all(image->fd, data, bytes, image->bytes))
		return no_memory(err);
	image->bytes += bytes;
	return 0;
}

void image_store_whole(struct image_store *store, struct stored_dump *dump,
		       struct stored_image *image)
{
	uint8_t *fit = image->bytes < image->room && image->bytes ? realloc(image->data, image->bytes) : NULL;

	/* the spare room of thousands of small images would not be counted */
	if (fit) {
		image->data = fit;
		image->room = image->bytes;
	}
	pthread_mutex_lock(&store->lock);
	image->whole = true;
	dump->nr_whole++;
	pthread_mutex_unlock(&store->lock);
}

int image_store_seal(struct image_store *store, struct stored_dump *dump, uint64_t images,
		     struct error *err)
{
	int ret = 0;

	pthread_mutex_lock(&store->lock);
	if (dump->nr_whole != dump->nr_images || dump->nr_images != images)
		ret = error_set(err, CODE_PEER, NULL, "%" PRIu64 " of %" PRIu64 " images are whole",
				dump->nr_whole, images);
	else
		dump->state = DUMP_SEALED;
	pthread_mutex_unlock(&store->lock);
	return ret;
}

/* The newest dump with this @id that may be served; the caller holds the lock */
static struct stored_dump *newest(struct image_store *store, const char *id)
{
	struct stored_dump *found = NULL;

	for (struct stored_dump *dump = store->dumps; dump; dump = dump->next)
		if ((dump->state == DUMP_COMPLETE || dump->state == DUMP_DOUBT) &&
		    !strcmp(dump->id, id) && (!found || dump->order > found->order))
			found = dump;
	return found;
}

/* Earlier dumps with this one's id that no restore reads; the caller holds the lock */
static void remove_older(struct image_store *store, const char *its_id)
{
	struct stored_dump *keep = newest(store, its_id), *next;
	char id[sizeof(keep->id)];

	/* a dump that is removed here may own @its_id */
	strcpy(id, its_id);
	for (struct stored_dump *dump = store->dumps; dump; dump = next) {
		next = dump->next;
		if (dump != keep && dump->state >= DUMP_DOUBT && !dump->readers &&
		    !strcmp(dump->id, id))
			remove_dump(store, dump);
	}
}

void image_store_commit(struct image_store *store, struct stored_dump *dump)
{
	pthread_mutex_lock(&store->lock);
	dump->state = DUMP_COMPLETE;
	dump->order = ++store->order;
	remove_older(store, dump->id);
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
}

void image_store_drop(struct image_store *store, struct stored_dump *dump)
{
	pthread_mutex_lock(&store->lock);
	remove_dump(store, dump);
	pthread_mutex_unlock(&store->lock);
}

void image_store_link(struct image_store *store, bool linked)
{
	struct stored_dump *next;

	pthread_mutex_lock(&store->lock);
	store->linked = linked;
	store->epoch += !linked;
	for (struct stored_dump *dump = store->dumps; dump && !linked; dump = next) {
		next = dump->next;
		if (dump->state == DUMP_SEALED) {
			dump->state = DUMP_DOUBT;
			dump->order = ++store->order;
		} else if (dump->state == DUMP_COMING) {
			remove_dump(store, dump);
		}
	}
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
}

struct stored_dump *image_store_find(struct image_store *store, const char *id, int fd)
{
	struct stored_dump *dump;
	uint64_t epoch;

	pthread_mutex_lock(&store->lock);
	epoch = store->epoch;
	while (!(dump = newest(store, id)) && store->linked && epoch == store->epoch &&
	       !store->stop && !has_hung_up(fd))
		wait_for_change(store);
	/* one who waited when the link was lost has not looked what became of the dump */
	if (dump && dump->state == DUMP_DOUBT && epoch != store->epoch)
		dump = NULL;
	if (dump)
		dump->readers++;
	pthread_mutex_unlock(&store->lock);
	return dump;
}

void image_store_hold(struct image_store *store, struct stored_dump *dump)
{
	pthread_mutex_lock(&store->lock);
	dump->readers++;
	pthread_mutex_unlock(&store->lock);
}

const struct stored_image *image_store_get(struct image_store *store,
					   const struct stored_dump *dump, const char *name)
{
	struct stored_image key, **node;
	bool whole;

	strcpy(key.name, name);
	pthread_mutex_lock(&store->lock);
	node = tfind(&key, &dump->images, compare_names);
	whole = node && (*node)->whole;
	pthread_mutex_unlock(&store->lock);
	return whole ? *node : NULL;
}

size_t image_store_only(struct image_store *store)
{
	size_t nr = 0;

	pthread_mutex_lock(&store->lock);
	for (const struct stored_dump *dump = store->dumps; dump; dump = dump->next)
		nr += dump->state != DUMP_COMING && !dump->restored;
	pthread_mutex_unlock(&store->lock);
	return nr;
}

bool image_store_put(struct image_store *store, struct stored_dump *dump, bool restored)
{
	bool dropped = false;

	pthread_mutex_lock(&store->lock);
	dump->readers--;
	dump->restored |= restored;
	dropped = dump->restored && !dump->readers;
	if (dropped)
		remove_dump(store, dump);
	else
		remove_older(store, dump->id);
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
	return dropped;
}
