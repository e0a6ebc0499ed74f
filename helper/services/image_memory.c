// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "base/text.h"
#include "base/thread.h"
#include "os/memfs.h"
#include "os/proc.h"
#include "services/image_chain.h"
#include "services/image_files.h"
#include "services/image_memory.h"

#define LOOK_MS		500
#define FIRST_MS	30000	/* for a connection's first command */
#define OPEN_MS		10000	/* CRIU has closed its connection before its action script asks */
#define LEVEL_MAX	16	/* bytes of a level's name */

void image_memory_init(struct image_memory *memory, struct image_uplink *up,
		       struct image_tally *tally, struct image_loop *loop)
{
	*memory = (struct image_memory){ .up = up, .tally = tally, .loop = loop, .listener.fd = -1,
					 .number = -1, .fs_fd = -1, .wake_fd = -1,
					 .fate = IMAGE_FATE_NONE };
	pthread_mutex_init(&memory->lock, NULL);
	pthread_cond_init(&memory->changed, NULL);
}

/* The caller holds the lock, and no connection is under way. */
static void forget_chain(struct image_memory *memory)
{
	close(memory->fs_fd);
	memory->fs_fd = -1;
	memory->number = -1;
	memory->sealed = false;
	memory->joined = false;
}

/* The chain has its end at the cache, too; the caller holds the lock, and no connection is under way */
static void end_chain(struct image_memory *memory, bool commit, bool confirmed)
{
	struct image_outcome outcome = { .images = memory->images, .bytes = memory->bytes,
					 .confirmed = confirmed, .err = &memory->err };
	struct error ignored = { 0 };

	image_uplink_finish(memory->up, memory->number, commit,
			    error_is_set(&memory->err) ? &ignored : &memory->err);
	image_outcome_tell(&outcome, memory->id);
	image_tally_add(memory->tally, &outcome);
	forget_chain(memory);
}

/* The caller holds the lock. */
static int begin_chain(struct image_memory *memory, struct error *err)
{
	if (memory->number >= 0)
		return 0;
	memory->fs_fd = memfs_detached(memory->max_mib, err);
	if (memory->fs_fd < 0)
		return -1;
	memory->number = image_uplink_begin(memory->up, memory->id, memory->wake_fd, err);
	if (memory->number < 0) {
		close(memory->fs_fd);
		memory->fs_fd = -1;
		return -1;
	}
	memory->level = 0;
	memory->images = 0;
	memory->bytes = 0;
	memory->err = (struct error){ 0 };
	return 0;
}

/* A connection begins. Return: 0, or -1 with @err when there can be none */
static int enter(struct image_memory *memory, struct error *err)
{
	int ret;

	pthread_mutex_lock(&memory->lock);
	if (memory->sealed)
		ret = error_set(err, CODE_NOT_READY, NULL, "a dump is about to end");
	else if (memory->number >= 0 && memory->level == IMAGE_LEVELS_MAX)
		ret = error_set(err, CODE_NOT_READY, NULL, "too many pre-dumps");
	else
		ret = begin_chain(memory, err);
	memory->busy = !ret;
	if (!ret)
		memory->level_ms = clock_ns(CLOCK_BOOTTIME) / CLOCK_NS_PER_MS;
	pthread_mutex_unlock(&memory->lock);
	return ret;
}

static void leave(struct image_memory *memory, const struct error *err)
{
	pthread_mutex_lock(&memory->lock);
	memory->busy = false;
	memory->level++;
	if (error_is_set(err)) {
		memory->err = *err;
		/* a dump that also streams looks, and ends it */
		if (!memory->joined)
			end_chain(memory, false, false);
	}
	pthread_cond_broadcast(&memory->changed);
	pthread_mutex_unlock(&memory->lock);
}

static int open_level(struct image_memory *memory, struct image_dir *dir, struct error *err)
{
	char name[LEVEL_MAX], path[64], parent[LEVEL_MAX + 3];

	snprintf(name, sizeof(name), "%u", memory->level);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%u", memory->fs_fd, memory->level);
	snprintf(parent, sizeof(parent), "../%u", memory->level - 1);
	if (mkdirat(memory->fs_fd, name, 0700))
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for images");
	if (image_dir_open(dir, path, memory->level ? parent : NULL, err))
		return -1;
	dir->no_fsync = true;
	return 0;
}

/* What is forwarded needs no memory here any more: of pages the next level asks only how many there are. */
static int forward_one(struct image_memory *memory, const struct image_dir *dir, const char *name,
		       struct error *err)
{
	char key[IMAGE_NAME_BYTES + 1];
	uint64_t bytes = 0;
	int fd = openat(dir->fd, name, O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", name);
	snprintf(key, sizeof(key), IMAGE_CHAIN_PREFIX "%u/%s", memory->level, name);
	ret = image_file_forward(memory->up, memory->number, key, fd, &bytes, err);
	if (!ret && !strncmp(name, "pages-", 6) && bytes)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes);
	close(fd);
	memory->images++;
	memory->bytes += bytes;
	return ret;
}

static void tell_level(const struct image_memory *memory, const struct page_receiver *receiver)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s: level %u: %s, and %" PRIu64 " that earlier levels have",
		 memory->id, memory->level, text_count(receiver->counts.present, "page", "pages").text,
		 receiver->counts.in_parent);
	report_both("level", json_pack("{s:o,s:i,s:I,s:I}", "id", report_text(memory->id), "level",
				       (int)memory->level, "pages",
				       (json_int_t)receiver->counts.present, "in_parent",
				       (json_int_t)receiver->counts.in_parent), text);
}

static int forward_level(struct image_memory *memory, const struct image_dir *dir,
			 const struct page_receiver *receiver, struct error *err)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];

	if (receiver->counts.lazy)
		return error_set(err, CODE_PEER, NULL, "--lazy-pages does not go with --page-server");
	for (size_t i = 0; i < receiver->nr_made; i++) {
		image_made_names(&receiver->made[i], map, pages);
		if (image_uplink_check(memory->up, memory->number, err) ||
		    forward_one(memory, dir, map, err) || forward_one(memory, dir, pages, err))
			return -1;
	}
	tell_level(memory, receiver);
	return 0;
}

/* The caller holds the lock. */
static void cut_receiver(struct image_memory *memory)
{
	struct page_receiver *receiver = memory->receiver;

	if (receiver && (atomic_load(&memory->loop->stop) ||
			 (!receiver->spoke && clock_now_ms() - receiver->since_ms > FIRST_MS)))
		page_receiver_cut(receiver, receiver->spoke ? PAGE_CUT_STOP : PAGE_CUT_SILENT);
}

void image_memory_look(struct image_memory *memory)
{
	/* a script that asks holds the lock while it waits for the cache, whose end is seen by the caller's thread alone */
	if (pthread_mutex_trylock(&memory->lock))
		return;
	cut_receiver(memory);
	pthread_mutex_unlock(&memory->lock);
}

static void receive(struct image_memory *memory, struct image_dir *dir, int fd, struct error *err)
{
	struct page_receiver receiver;

	page_receiver_init(&receiver, fd, dir);
	snprintf(receiver.peer, sizeof(receiver.peer), "%s", memory->id);
	pthread_mutex_lock(&memory->lock);
	memory->receiver = &receiver;
	cut_receiver(memory);
	pthread_mutex_unlock(&memory->lock);
	page_receiver_run(&receiver);
	pthread_mutex_lock(&memory->lock);
	memory->receiver = NULL;
	pthread_cond_broadcast(&memory->changed);
	pthread_mutex_unlock(&memory->lock);
	if (receiver.closed)
		forward_level(memory, dir, &receiver, err);
	else
		*err = receiver.err;
	page_receiver_free(&receiver);
}

static void serve(struct image_memory *memory, int fd)
{
	struct error err = { 0 };
	struct image_dir dir;

	if (enter(memory, &err)) {
		report_error(&err);
		close(fd);
		return;
	}
	if (open_level(memory, &dir, &err)) {
		close(fd);
	} else {
		receive(memory, &dir, fd, &err);
		image_dir_close(&dir);
	}
	leave(memory, &err);
}

static void *memory_body(void *arg)
{
	struct image_memory *memory = arg;

	while (!atomic_load(&memory->loop->stop)) {
		struct pollfd pfd = { .fd = listener_poll_fd(&memory->listener), .events = POLLIN };
		int fd;

		poll(&pfd, 1, LOOK_MS);
		fd = pfd.revents ? listener_accept(&memory->listener, NULL, NULL) : -1;
		if (fd >= 0)
			serve(memory, fd);
	}
	return NULL;
}

int image_memory_open(struct image_memory *memory, const char *address, const char *id,
		      unsigned long max_mib, struct error *err)
{
	int fd = conn_listen(address, err);

	if (fd < 0)
		return -1;
	listener_init(&memory->listener, fd);
	memory->id = id;
	memory->max_mib = max_mib;
	memory->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (memory->wake_fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	if (thread_start(&memory->thread, memory_body, memory, err))
		return -1;
	memory->started = true;
	return 0;
}

/* CRIU has closed its connection; what came by it takes its time to the cache. The caller holds the lock */
static int wait_for_level(struct image_memory *memory, struct error *err)
{
	struct timespec until = clock_in_ms(CLOCK_REALTIME, OPEN_MS);

	while (memory->busy)
		if (!memory->receiver)
			pthread_cond_wait(&memory->changed, &memory->lock);
		else if (pthread_cond_timedwait(&memory->changed, &memory->lock, &until) == ETIMEDOUT)
			return error_set(err, CODE_PEER, NULL, "pages still come after the dump");
	return 0;
}

/*
 * A CRIU without --page-server, or that of another program, has its memory elsewhere: the chain's is older, or another
 * one. The caller holds the lock
 */
static int check_memory(struct image_memory *memory, const struct image_door *door, pid_t criu)
{
	struct proc_status status;
	int64_t start_ms, old_ms;

	if (proc_stat_read(criu, &status, &memory->err))
		return -1;
	start_ms = status.start_ticks * 1000 / sysconf(_SC_CLK_TCK);
	if (memory->level_ms < start_ms)
		return error_set(&memory->err, CODE_CRIU, "the dump after a pre-dump needs --page-server, too",
				 "criu dump sent no memory to --page-server: the proxy has that of before");
	old_ms = clock_ns(CLOCK_BOOTTIME) / CLOCK_NS_PER_MS - start_ms;
	return image_files_check_old(door->path, clock_ns(CLOCK_REALTIME) - old_ms * CLOCK_NS_PER_MS, &memory->err);
}

/* The caller holds the lock, and no connection is under way. */
static int seal(struct image_memory *memory, const struct image_door *door)
{
	struct image_files files = { .up = memory->up, .number = memory->number };

	if (image_files_forward(&files, door->path, &memory->err))
		return -1;
	memory->images += files.images;
	memory->bytes += files.bytes;
	return image_uplink_seal(memory->up, memory->number, memory->images, &memory->err);
}

int image_memory_join(struct image_memory *memory, int wake_fd, struct error *err)
{
	int number = -1;

	pthread_mutex_lock(&memory->lock);
	if (memory->sealed || memory->joined)
		error_set(err, CODE_NOT_READY, NULL, "a dump is about to end");
	else if (!begin_chain(memory, err))
		number = memory->number;
	if (number >= 0) {
		memory->joined = true;
		image_uplink_watch(memory->up, number, wake_fd);
	}
	pthread_mutex_unlock(&memory->lock);
	return number;
}

int image_memory_count(struct image_memory *memory, uint64_t *images, struct error *err)
{
	int ret;

	pthread_mutex_lock(&memory->lock);
	ret = wait_for_level(memory, err);
	if (!ret && error_is_set(&memory->err)) {
		*err = memory->err;
		ret = -1;
	}
	*images += memory->images;
	memory->sealed = !ret;
	pthread_mutex_unlock(&memory->lock);
	return ret;
}

void image_memory_part(struct image_memory *memory)
{
	pthread_mutex_lock(&memory->lock);
	if (memory->receiver)
		page_receiver_cut(memory->receiver, PAGE_CUT_STOP);
	while (memory->busy)
		pthread_cond_wait(&memory->changed, &memory->lock);
	forget_chain(memory);
	pthread_mutex_unlock(&memory->lock);
}

/* Whether there is a chain that nobody else ends, which waits for a level; the caller holds the lock */
static int check_chain(struct image_memory *memory, struct error *err)
{
	int ret = memory->joined ? 0 : wait_for_level(memory, err);

	if (memory->sealed || memory->joined)
		return error_set(err, CODE_NOT_READY, NULL, "an action script asks while another dump ends");
	if (ret)
		/* its end is that of the chain */
		page_receiver_cut(memory->receiver, PAGE_CUT_STOP);
	else if (memory->number < 0)
		ret = error_set(err, CODE_CRIU, "criu dump needs --stream, or --page-server",
				"an action script asks, and no dump is here");
	return ret;
}

/* The caller holds the lock. */
static int check_asked(struct image_memory *memory, const struct image_door *door, int root_fd, pid_t criu)
{
	if (root_fd < 0)
		return image_fate_no_root(&memory->err);
	if (!criu)
		return image_fate_no_tracer(&memory->err);
	return check_memory(memory, door, criu) || seal(memory, door) ? -1 : 0;
}

bool image_memory_ask(struct image_memory *memory, const struct image_door *door, int *root_fd)
{
	pid_t criu = *root_fd >= 0 ? image_fate_tracer(*root_fd) : 0;
	struct error err = { 0 };
	bool yes = false;

	pthread_mutex_lock(&memory->lock);
	if (!check_chain(memory, &err)) {
		yes = !check_asked(memory, door, *root_fd, criu);
		if (!yes)
			end_chain(memory, false, false);
	}
	if (yes) {
		memory->sealed = true;
		image_fate_watch(&memory->fate, criu, *root_fd, memory->leave_running);
		*root_fd = -1;
	}
	pthread_mutex_unlock(&memory->lock);
	if (error_is_set(&err))
		report_error(&err);
	return yes;
}

void image_memory_settle(struct image_memory *memory)
{
	enum image_fate_is is = image_fate_wait(&memory->fate, &memory->loop->stop);

	pthread_mutex_lock(&memory->lock);
	if (is == FATE_STAYS)
		image_fate_error(&memory->err);
	if (is != FATE_UNKNOWN)
		end_chain(memory, is == FATE_GONE, is == FATE_GONE);
	image_fate_close(&memory->fate);
	pthread_mutex_unlock(&memory->lock);
}

void image_memory_close(struct image_memory *memory)
{
	if (memory->started) {
		pthread_mutex_lock(&memory->lock);
		cut_receiver(memory);
		pthread_mutex_unlock(&memory->lock);
		pthread_join(memory->thread, NULL);
	}
	/* no client is left, and so no stream */
	if (memory->number >= 0) {
		error_set(&memory->err, CODE_ABORTED, NULL, "the proxy was ended");
		end_chain(memory, false, memory->sealed);
	}
	if (memory->listener.fd >= 0)
		listener_close(&memory->listener);
	if (memory->wake_fd >= 0)
		close(memory->wake_fd);
}
