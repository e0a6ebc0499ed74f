// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/report.h"
#include "base/text.h"
#include "base/thread.h"
#include "os/maps.h"
#include "os/proc.h"
#include "services/image_pour.h"
#include "services/image_restore.h"
#include "services/stream_request.h"

#define PAGES_PREFIX	"pages-"
#define DIE_MS		500	/* for a task that CRIU has killed */

/**
 * struct image_restore - a connection
 * @dump: once it is found
 * @task, @task_fd: the first restored task that asked for pages, and its pidfd; 0 and -1: not known
 * @criu: what it ran then, which is CRIU
 * @lock: of all that follows
 * @serving: threads that write into pipes
 * @pages: images of pages that CRIU has read to the end; @cut: that it has not
 */
struct image_restore {
	struct image_client *client;
	struct image_restores *restores;
	struct stored_dump *dump;
	uint64_t asked, missing;
	pid_t task;
	int task_fd;
	struct stat criu;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int serving;
	uint64_t pages, cut;
	struct error err;
};

/** struct serving - one image that goes into a pipe of CRIU */
struct serving {
	struct image_restore *restore;
	struct image_pour pour;
	bool is_pages;
};

/* CRIU has closed its end: has it read all? */
static bool is_read(const struct image_pour *pour)
{
	int left = 0;

	return pour->at == pour->image->bytes && !ioctl(pour->fd, FIONREAD, &left) && !left;
}

static void serve(struct serving *serving)
{
	struct image_restore *restore = serving->restore;
	struct image_pour *pour = &serving->pour;
	int ret = image_pour_all(pour);
	bool whole;

	/* CRIU reads a known number of pages, and needs no end of the file */
	while (ret > 0 && serving->is_pages && image_pour_wait(pour, 0))
		;
	whole = is_read(pour);
	close(pour->fd);
	pthread_mutex_lock(&restore->lock);
	if (serving->is_pages && whole)
		restore->pages++;
	else if (serving->is_pages)
		restore->cut++;
	restore->serving--;
	pthread_cond_broadcast(&restore->changed);
	pthread_mutex_unlock(&restore->lock);
	free(serving);
}

static void *serving_body(void *arg)
{
	serve(arg);
	return NULL;
}

static bool is_pages(const struct stored_image *image)
{
	return !strncmp(image->name, PAGES_PREFIX, strlen(PAGES_PREFIX));
}

static int start_serving(struct image_restore *restore, const struct stored_image *image, int fd)
{
	struct serving *serving = malloc(sizeof(*serving));
	pthread_t thread;

	if (!serving) {
		close(fd);
		return error_set(&restore->err, CODE_INTERNAL, NULL, "no memory for an image");
	}
	*serving = (struct serving){
		.restore = restore, .is_pages = is_pages(image),
		.pour = { .image = image, .fd = fd, .stop = &restore->client->loop->stop },
	};
	/* what fits into the pipe needs no thread */
	if (!serving->is_pages && image_pour_fill(&serving->pour, image->bytes)) {
		close(fd);
		free(serving);
		return 0;
	}
	if (image->fd >= 0 || image->nr_parts)
		big_pipe_widen(fd);
	pthread_mutex_lock(&restore->lock);
	restore->serving++;
	pthread_mutex_unlock(&restore->lock);
	if (!thread_start(&thread, serving_body, serving, &restore->err)) {
		pthread_detach(thread);
		return 0;
	}
	pthread_mutex_lock(&restore->lock);
	restore->serving--;
	pthread_mutex_unlock(&restore->lock);
	close(fd);
	free(serving);
	return -1;
}

static int stat_exe(pid_t pid, struct stat *st)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, st);
}

/* Each task reads its own pages. CRIU itself ends after a success, too. */
static void note_task(struct image_restore *restore, pid_t sender)
{
	struct error ignored = { 0 };

	if (restore->task || sender <= 0 || sender == restore->client->pid)
		return;
	restore->task = sender;
	restore->task_fd = proc_pidfd(sender, &ignored);
	stat_exe(sender, &restore->criu);
}

/* Return: the address of the code in which the task waits; 0: it runs, or cannot be looked at */
static uint64_t waits_at(pid_t pid)
{
	char *text = proc_text(pid, "syscall");
	const char *at = text ? strrchr(text, ' ') : NULL;
	uint64_t addr = at ? strtoull(at, NULL, 16) : 0;

	free(text);
	return addr;
}

/*
 * A CRIU that is killed leaves its tasks where they wait for it: in its restorer, which is in no file, and is gone when a
 * task has begun to run its program. A program has its system calls in files, or in the vdso.
 */
static bool is_in_restorer(pid_t pid)
{
	uint64_t at = waits_at(pid);
	struct error ignored = { 0 };
	struct vma_list list;
	const struct vma *vma;
	bool ret;

	if (!at || maps_read(pid, false, &list, &ignored))
		return false;
	vma = maps_find(&list, at);
	ret = vma && vma->anon && !vma->special;
	maps_free(&list);
	return ret;
}

/*
 * A task reads its pages before it opens its files: after all pages were read a restore can still fail. CRIU then kills
 * the tasks before it hangs up. A large one takes a while to end, but has no program any more.
 */
static bool task_runs(const struct image_restore *restore)
{
	struct pollfd pfd = { .fd = restore->task_fd, .events = POLLIN };
	struct stat st = { 0 };

	if (!restore->task)
		return true;
	if (restore->task_fd < 0 || poll(&pfd, 1, DIE_MS) > 0 ||
	    (stat_exe(restore->task, &st) && errno == ENOENT))
		return false;
	if (st.st_ino && st.st_ino == restore->criu.st_ino && st.st_dev == restore->criu.st_dev)
		return false;
	return !is_in_restorer(restore->task);
}

/* Return: 1 to go on, 0 when CRIU has hung up, -1 with an error */
static int step(struct image_restore *restore)
{
	struct image_store *store = restore->restores->store;
	const struct stored_image *image;
	struct stream_request request;
	int ret = stream_request_read(restore->client->fd, &request, &restore->err), fd;
	pid_t sender;

	if (ret <= 0)
		return ret;
	if (request.confirm)
		return error_set(&restore->err, CODE_PEER, NULL, "an action script of a dump asks the cache");
	if (!restore->dump)
		restore->dump = image_store_find(store, restore->client->door->id,
						 restore->client->fd);
	image = restore->dump ? image_store_get(store, restore->dump, request.name) : NULL;
	restore->asked += !!image;
	restore->missing += !image;
	if (stream_reply_write(restore->client->fd, image))
		return 0;
	if (!image)
		return 1;
	fd = stream_pipe_read(restore->client->fd, O_WRONLY, &sender, &restore->err);
	if (fd >= 0 && is_pages(image))
		note_task(restore, sender);
	return fd < 0 || start_serving(restore, image, fd) ? -1 : 1;
}

void image_restores_add(struct image_restores *restores, const struct restore_outcome *outcome)
{
	json_t *fields = json_pack("{s:o,s:I,s:I,s:b,s:b}", "id", report_text(outcome->id),
				   "images", (json_int_t)outcome->images,
				   "missing", (json_int_t)outcome->missing, "restored",
				   outcome->restored, "dropped", outcome->dropped);
	char text[TEXT_MAX];

	if (outcome->err && error_is_set(outcome->err))
		snprintf(text, sizeof(text), "%.64s: a restore failed: %.200s", outcome->id,
			 outcome->err->what);
	else if (!outcome->found)
		snprintf(text, sizeof(text), "%s: a restore asked for images that did not come",
			 outcome->id);
	else
		snprintf(text, sizeof(text), "%s: a restore has read %s%s", outcome->id,
			 text_count(outcome->images, "image", "images").text,
			 outcome->dropped ? ", which are forgotten now" : "; they are kept");
	report_both(outcome->restored ? "restore" : "unrestored", fields, text);
	pthread_mutex_lock(&restores->lock);
	restores->restored += outcome->restored;
	restores->failed += !outcome->restored;
	restores->images += outcome->images;
	pthread_mutex_unlock(&restores->lock);
}

static void end(struct image_restore *restore)
{
	struct restore_outcome outcome = {
		.id = restore->client->door->id, .images = restore->asked,
		.missing = restore->missing, .found = restore->dump, .err = &restore->err,
	};

	pthread_mutex_lock(&restore->lock);
	while (restore->serving)
		pthread_cond_wait(&restore->changed, &restore->lock);
	outcome.restored = restore->pages && !restore->cut && !error_is_set(&restore->err);
	pthread_mutex_unlock(&restore->lock);
	outcome.restored = outcome.restored && task_runs(restore);
	if (restore->dump)
		outcome.dropped = image_store_put(restore->restores->store, restore->dump,
						  outcome.restored);
	image_restores_add(restore->restores, &outcome);
}

void image_restore_serve(struct image_client *client)
{
	struct image_restore restore = {
		.client = client, .restores = client->loop->ctx, .task_fd = -1,
	};
	int ret, one = 1;

	/* the tasks write to CRIU's connection, too */
	setsockopt(client->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	pthread_mutex_init(&restore.lock, NULL);
	pthread_cond_init(&restore.changed, NULL);
	do
		ret = step(&restore);
	while (ret > 0);
	if (restore.asked || restore.missing || ret < 0)
		end(&restore);
	if (restore.task_fd >= 0)
		close(restore.task_fd);
	pthread_cond_destroy(&restore.changed);
	pthread_mutex_destroy(&restore.lock);
}
