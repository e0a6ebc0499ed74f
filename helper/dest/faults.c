// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/faults.h"
#include "wire/stream.h"

#define READY_AT_ONCE	16
#define RETRY_MS	1
#define TICK_MS		1000	/* how often processes are looked for that ended */

/* What an epoll event is about, when it is not a space. */
static char of_kick, of_lazy;

static int watch_fd(struct faults *thread, int fd, void *about, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = about };

	if (epoll_ctl(thread->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for a descriptor");
	return 0;
}

int faults_init(struct faults *thread, struct error *err)
{
	thread->lazy_fd = -1;
	thread->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (thread->epoll < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an epoll descriptor");
	return watch_fd(thread, thread->mm->kick, &of_kick, err);
}

void faults_destroy(struct faults *thread)
{
	if (thread->epoll >= 0)
		close(thread->epoll);
	thread->epoll = -1;
}

int faults_watch(struct faults *thread, struct space *space, bool on, struct error *err)
{
	if (on)
		return watch_fd(thread, space->uffd, space, err);
	epoll_ctl(thread->epoll, EPOLL_CTL_DEL, space->uffd, NULL);
	return 0;
}

/* The server's descriptor changes from the listening to the connected socket, then to none. */
static int watch_lazy(struct faults *thread, struct error *err)
{
	int fd = thread->lazy ? lazy_server_fd(thread->lazy) : -1;

	if (fd == thread->lazy_fd)
		return 0;
	if (thread->lazy_fd >= 0)
		/* fails when the server has closed it, which is as good */
		epoll_ctl(thread->epoll, EPOLL_CTL_DEL, thread->lazy_fd, NULL);
	thread->lazy_fd = fd;
	return fd < 0 ? 0 : watch_fd(thread, fd, &of_lazy, err);
}

int faults_expect(struct faults *thread, struct lazy_server *lazy, struct error *err)
{
	thread->lazy = lazy;
	return watch_lazy(thread, err);
}

static int attach(struct faults *thread, pid_t pid, int uffd, struct error *err)
{
	if (pid != thread->task_pid || uffd < 0) {
		if (uffd >= 0)
			close(uffd);
		return error_set(err, CODE_CRIU, NULL,
				 "CRIU handed over the memory of task %d, expected was %d", pid,
				 thread->task_pid);
	}
	return mm_attach(thread->mm, uffd, err);
}

static int lazy_step(struct faults *thread, struct error *err)
{
	enum lazy_event event = LAZY_NOTHING;
	pid_t pid = 0;
	int uffd = -1, ret;

	ret = lazy_server_next(thread->lazy, &event, &pid, &uffd, err);
	if (!ret && event == LAZY_TASK)
		ret = attach(thread, pid, uffd, err);
	else if (!ret && event == LAZY_LOST)
		ret = error_set(err, CODE_CRIU, NULL,
				"CRIU closed its socket before the restore was complete");
	if (ret || event == LAZY_FINISHED)
		thread->lazy = NULL;
	if (watch_lazy(thread, err))
		ret = -1;
	if (!ret && event == LAZY_FINISHED)
		thread->hooks.restored(thread->hooks.ctx);
	return ret;
}

static int space_step(struct faults *thread, struct space *space, struct error *err)
{
	struct mm *mm = thread->mm;
	int ret;

	mm_lock_urgent(mm);
	ret = mm_events(mm, space, err);
	mm_unlock(mm);
	return ret;
}

static int send_requests(struct faults *thread, struct error *err)
{
	struct mm *mm = thread->mm;
	struct run *requests;
	size_t nr;
	int ret = 0;

	mm_lock(mm);
	requests = mm->requests;
	nr = mm->nr_requests;
	mm->requests = NULL;
	mm->nr_requests = 0;
	mm->cap_requests = 0;
	mm_unlock(mm);
	for (size_t i = 0; i < nr && !ret && thread->urgent; i++) {
		struct splice_vm_run run = {
			.addr = requests[i].addr, .nr_pages = requests[i].nr_pages,
		};

		ret = frame_send(thread->urgent, FRAME_REQUEST, thread->cookie, &run, 1, err);
	}
	if (ret)
		thread->urgent = NULL;
	free(requests);
	return ret;
}

/* Nothing tells that a process is gone but a failing ioctl. */
static void bury_gone(struct faults *thread)
{
	struct mm *mm = thread->mm;

	mm_lock(mm);
	for (size_t i = 0; i < mm->nr_spaces; i++)
		if (mm->spaces[i]->uffd >= 0 && space_probe(mm->spaces[i]))
			mm_bury(mm, mm->spaces[i]);
	mm_unlock(mm);
}

static int retry(struct faults *thread, bool *again, struct error *err)
{
	struct mm *mm = thread->mm;
	int ret = 0;

	mm_lock_urgent(mm);
	if (mm->retry)
		ret = mm_retry(mm, err);
	*again = mm->retry;
	mm_unlock(mm);
	return ret;
}

static int ready(struct faults *thread, void *about, struct error *err)
{
	uint64_t count;

	if (about == &of_kick)
		return read(thread->mm->kick, &count, sizeof(count)) < 0 && errno != EAGAIN ?
		       error_errno(err, CODE_INTERNAL, NULL, "cannot read an eventfd") : 0;
	if (about == &of_lazy)
		return thread->lazy ? lazy_step(thread, err) : 0;
	return space_step(thread, about, err);
}

void faults_run(struct faults *thread)
{
	struct epoll_event events[READY_AT_ONCE];
	int64_t last_tick = clock_now_ms();
	bool again = false;

	while (!atomic_load(&thread->stop)) {
		int nr = epoll_wait(thread->epoll, events, READY_AT_ONCE,
				    again ? RETRY_MS : TICK_MS);
		struct error err = { 0 };

		for (int i = 0; i < nr; i++)
			ready(thread, events[i].data.ptr, &err);
		retry(thread, &again, &err);
		send_requests(thread, &err);
		if (clock_now_ms() - last_tick >= TICK_MS) {
			bury_gone(thread);
			last_tick = clock_now_ms();
		}
		if (error_is_set(&err))
			thread->hooks.failed(thread->hooks.ctx, &err);
	}
}
