// SPDX-License-Identifier: GPL-2.0
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "os/proc.h"
#include "os/proc_files.h"
#include "services/lazy_keeper.h"
#include "services/lazy_restore.h"

/* Watch the server's descriptor: first the listening, then the connected socket, then none. */
static int watch(struct lazy_restore *restore, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = restore };
	int fd = restore->server ? lazy_server_fd(restore->server) : -1;

	if (fd == restore->fd)
		return 0;
	restore->connected |= restore->fd >= 0;
	restore->fd = fd;
	journal_add(restore->journal, restore->connected ? LAZY_RECORD_CONNECTED : LAZY_RECORD_LISTENS, restore->number, fd,
		    0, 0);
	if (fd >= 0 && epoll_ctl(restore->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for CRIU");
	return 0;
}

struct lazy_restore *lazy_restore_new(uint32_t number, int epoll, struct journal *journal, struct error *err)
{
	struct lazy_restore *restore = calloc(1, sizeof(*restore));

	if (!restore) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a restore");
		return NULL;
	}
	restore->fd = -1;
	restore->held_fd = -1;
	restore->number = number;
	restore->epoll = epoll;
	restore->journal = journal;
	return restore;
}

int lazy_restore_listen(struct lazy_restore *restore, int work_dir_fd, struct error *err)
{
	return lazy_server_listen(work_dir_fd, &restore->server, err) || watch(restore, err) ? -1 : 0;
}

int lazy_restore_resume(struct lazy_restore *restore, int work_dir_fd, int fd, struct error *err)
{
	restore->connected = true;
	restore->failed = fd < 0;
	return fd >= 0 && (lazy_server_resume(work_dir_fd, fd, restore->word, &restore->server, err) ||
			   watch(restore, err)) ? -1 : 0;
}

int lazy_restore_adopt(struct lazy_restore *restore, int work_dir_fd, int fd, struct error *err)
{
	return lazy_server_adopt(work_dir_fd, fd, &restore->server, err) || watch(restore, err) ? -1 : 0;
}

static struct lazy_memory *memory_of(struct lazy_memory *memories, pid_t pid)
{
	while (memories && memories->pid != pid)
		memories = memories->next;
	return memories;
}

int lazy_restore_attach(struct lazy_restore *restore, struct lazy_memory *memories, pid_t pid, int uffd,
			struct error *err)
{
	struct lazy_memory *memory = memory_of(memories, pid);
	struct lazy_task **tasks, *task;

	restore->word = 0;
	tasks = memory ? reallocarray(restore->tasks, restore->nr + 1, sizeof(*tasks)) : NULL;
	if (!tasks) {
		if (uffd >= 0)
			close(uffd);
		return memory ? error_set(err, CODE_INTERNAL, NULL, "no memory for a task") :
		       error_set(err, CODE_CRIU, "restore and lazy-pages have to name the same --images-dir",
				 "CRIU restores task %d, which the images do not have", pid);
	}
	restore->tasks = tasks;
	task = lazy_task_new(memory, restore->epoll, restore->journal, restore->number, uffd, err);
	if (!task)
		return -1;
	tasks[restore->nr++] = task;
	return 0;
}

static void end_server(struct lazy_restore *restore)
{
	if (restore->connected)
		journal_add(restore->journal, LAZY_RECORD_CONNECTED, restore->number, -1, 0, 0);
	lazy_server_close(restore->server);
	restore->server = NULL;
	restore->fd = -1;
}

void lazy_restore_finish(struct lazy_restore *restore)
{
	restore->finished = true;
	journal_add(restore->journal, LAZY_RECORD_FINISHED, restore->number, 0, 0, 0);
	for (size_t i = 0; i < restore->nr; i++)
		lazy_task_ready(restore->tasks[i]);
}

/** struct traced - @pid: one that @tracer traces; 0: none yet */
struct traced {
	pid_t tracer, pid;
};

static void look_at_process(void *ctx, pid_t pid)
{
	struct traced *traced = ctx;
	struct error ignored = { 0 };
	struct proc_status status;

	if (!traced->pid && !proc_status_alone(pid, &status, &ignored) && status.tracer == traced->tracer)
		traced->pid = pid;
}

/*
 * CRIU traces the tasks when it says that all is restored, up to the moment in which they run. With --restore-sibling, which
 * runc asks for, they are no descendants of CRIU's.
 */
static void note_held(struct lazy_restore *restore)
{
	struct traced traced = { .tracer = lazy_server_criu(restore->server) };
	struct error ignored = { 0 };

	if (traced.tracer <= 0 || proc_each(look_at_process, &traced, &ignored))
		return;
	restore->held = traced.pid;
	restore->held_fd = restore->held ? proc_pidfd(restore->held, &ignored) : -1;
	if (restore->held_fd < 0)
		restore->held = 0;
}

static void forget_held(struct lazy_restore *restore)
{
	if (restore->held_fd >= 0)
		close(restore->held_fd);
	restore->held_fd = -1;
	restore->held = 0;
}

/* Looked at often: a program that has run, and ended at once, is not to be taken for one that never ran. */
static void look_held(struct lazy_restore *restore)
{
	struct pollfd pfd = { .fd = restore->held_fd, .events = POLLIN };
	struct error ignored = { 0 };
	struct proc_status status;

	/* of this process, if it lives afterwards */
	if (restore->held && !proc_status_alone(restore->held, &status, &ignored) && !status.tracer && !poll(&pfd, 1, 0))
		forget_held(restore);
}

static void note_word(struct lazy_restore *restore)
{
	pid_t word = lazy_server_word(restore->server);

	if (word && word != restore->word)
		journal_add(restore->journal, LAZY_RECORD_WORD, restore->number, word, 0, 0);
	restore->word = word;
}

int lazy_restore_step(struct lazy_restore *restore, struct lazy_memory *memories, struct error *err)
{
	enum lazy_event event = LAZY_NOTHING;
	pid_t pid = 0;
	int uffd = -1, ret;

	if (!restore->server)
		return 0;
	ret = lazy_server_next(restore->server, &event, &pid, &uffd, err);
	/* a task that had ended has no memory */
	if (!ret && event == LAZY_TASK && uffd >= 0)
		ret = lazy_restore_attach(restore, memories, pid, uffd, err);
	if (ret || event == LAZY_LOST) {
		restore->connected = true;
		restore->failed = true;
		end_server(restore);
		return ret ? ret : error_set(err, CODE_CRIU, "restore.log says why. Processes that it has left are waited for",
					     "criu restore has ended before all was restored");
	}
	if (event == LAZY_FINISHED) {
		note_held(restore);
		lazy_restore_finish(restore);
		end_server(restore);
		return 0;
	}
	note_word(restore);
	return watch(restore, err);
}

int lazy_restore_retry(struct lazy_restore *restore, struct error *err)
{
	int ret;

	look_held(restore);
	ret = restore->held != 0;
	for (size_t i = 0; i < restore->nr; i++) {
		if (!restore->tasks[i]->set.retry)
			continue;
		if (lazy_task_retry(restore->tasks[i], err))
			ret = -1;
		else if (restore->tasks[i]->set.retry && !ret)
			ret = 1;
	}
	return ret;
}

int lazy_restore_background(struct lazy_restore *restore, uint64_t nr_pages, struct error *err)
{
	for (size_t i = 0; i < restore->nr; i++) {
		struct lazy_task *task = restore->tasks[restore->at++ % restore->nr];
		int ret = lazy_task_background(task, nr_pages, err);

		if (ret)
			return ret;
	}
	return 0;
}

bool lazy_restore_is_done(const struct lazy_restore *restore)
{
	if (!restore->finished)
		return false;
	if (restore->held)
		return lazy_restore_is_gone(restore);
	for (size_t i = 0; i < restore->nr; i++)
		if (!lazy_task_is_done(restore->tasks[i]))
			return false;
	return true;
}

bool lazy_restore_is_gone(const struct lazy_restore *restore)
{
	for (size_t i = 0; i < restore->nr; i++)
		if (!lazy_task_is_gone(restore->tasks[i]))
			return false;
	return true;
}

bool lazy_restore_lost(const struct lazy_restore *restore)
{
	for (size_t i = 0; i < restore->nr; i++)
		if (restore->tasks[i]->lost)
			return true;
	return false;
}

void lazy_restore_probe(struct lazy_restore *restore)
{
	for (size_t i = 0; i < restore->nr; i++)
		lazy_task_probe(restore->tasks[i]);
}

uint64_t lazy_restore_lacks(const struct lazy_restore *restore)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < restore->nr; i++)
		nr += lazy_task_lacks(restore->tasks[i]);
	return nr;
}

void lazy_restore_leave(struct lazy_restore *restore)
{
	lazy_server_leave(restore->server);
	restore->server = NULL;
	lazy_restore_free(restore);
}

void lazy_restore_free(struct lazy_restore *restore)
{
	if (restore->server)
		end_server(restore);
	forget_held(restore);
	for (size_t i = 0; i < restore->nr; i++)
		lazy_task_free(restore->tasks[i]);
	free(restore->tasks);
	free(restore);
}
