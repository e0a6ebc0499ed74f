// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/thread.h"
#include "dest/events.h"
#include "dest/faults.h"
#include "dest/spaces.h"
#include "wire/stream.h"

#define REASON_MS	1000	/* for the answer of a CRIU that has hung up */
#define READY_AT_ONCE	16
#define RETRY_MS	1
#define TICK_MS		1000	/* how often bury_gone() looks for ended processes */

/* Markers for epoll events that are not about a space. */
static char of_kick, of_lazy;

static int watch_fd(struct faults *faults, int fd, void *about, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = about };

	if (epoll_ctl(faults->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for a descriptor");
	return 0;
}

int faults_init(struct faults *faults, struct error *err)
{
	pthread_mutex_init(&faults->lock, NULL);
	faults->lazy_fd = -1;
	faults->kick = -1;
	faults->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (faults->epoll < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an epoll descriptor");
	faults->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (faults->kick < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	return watch_fd(faults, faults->kick, &of_kick, err);
}

void faults_destroy(struct faults *faults)
{
	if (faults->epoll >= 0)
		close(faults->epoll);
	if (faults->kick >= 0)
		close(faults->kick);
	faults->epoll = faults->kick = -1;
	pthread_mutex_destroy(&faults->lock);
}

int faults_watch(struct faults *faults, struct space *space, bool on, struct error *err)
{
	if (on)
		return watch_fd(faults, space->uffd, space, err);
	epoll_ctl(faults->epoll, EPOLL_CTL_DEL, space->uffd, NULL);
	return 0;
}

static void list_kicked(struct faults *faults, struct mm *mm)
{
	pthread_mutex_lock(&faults->lock);
	if (!mm->kicked) {
		mm->kicked = true;
		mm->next_kicked = NULL;
		*(faults->kicked ? &faults->last_kicked->next_kicked : &faults->kicked) = mm;
		faults->last_kicked = mm;
	}
	pthread_mutex_unlock(&faults->lock);
}

void faults_kick(struct faults *faults, struct mm *mm)
{
	uint64_t one = 1;

	if (mm)
		list_kicked(faults, mm);
	/* fails only when the counter is full, which wakes the thread too */
	if (write(faults->kick, &one, sizeof(one)) < 0)
		return;
}

/* Watch the server's descriptor: first the listening, then the connected socket, then none. */
static int watch_lazy(struct faults *faults, struct error *err)
{
	int fd = faults->lazy ? lazy_server_fd(faults->lazy) : -1;

	if (fd == faults->lazy_fd)
		return 0;
	if (faults->lazy_fd >= 0)
		/* fails when the server has closed the descriptor already */
		epoll_ctl(faults->epoll, EPOLL_CTL_DEL, faults->lazy_fd, NULL);
	faults->lazy_fd = fd;
	return fd < 0 ? 0 : watch_fd(faults, fd, &of_lazy, err);
}

int faults_expect(struct faults *faults, struct lazy_server *lazy, struct error *err)
{
	faults->lazy = lazy;
	return watch_lazy(faults, err);
}

/* A CRIU that fails says why, and where its log is, to the thread that started it: that reason comes first. */
static int hung_up(struct faults *faults, struct error *err)
{
	const struct timespec tick = { .tv_nsec = 10000000 };

	for (int ms = 0; ms < REASON_MS && !atomic_load(&faults->stop); ms += 10)
		nanosleep(&tick, NULL);
	return error_set(err, CODE_CRIU, NULL, "CRIU closed its socket before the restore was complete");
}

static int lazy_step(struct faults *faults, struct error *err)
{
	enum lazy_event event = LAZY_NOTHING;
	pid_t pid = 0;
	int uffd = -1, ret;

	ret = lazy_server_next(faults->lazy, &event, &pid, &uffd, err);
	if (!ret && event == LAZY_TASK)
		ret = faults->hooks.attach(faults->hooks.ctx, pid, uffd, err);
	else if (!ret && event == LAZY_LOST)
		ret = hung_up(faults, err);
	if (ret || event == LAZY_FINISHED)
		faults->lazy = NULL;
	if (watch_lazy(faults, err))
		ret = -1;
	if (!ret && event == LAZY_FINISHED)
		faults->hooks.restored(faults->hooks.ctx);
	return ret;
}

static int send_requests(struct faults *faults, struct mm *mm, struct error *err)
{
	struct run *requests;
	size_t nr;
	int ret = 0;

	mm_lock(mm);
	requests = wanted_requests(&mm->wanted, &nr);
	mm_unlock(mm);
	for (size_t i = 0; i < nr && !ret && faults->urgent; i++) {
		struct splice_vm_run run = {
			.addr = requests[i].addr, .nr_pages = requests[i].nr_pages,
		};

		ret = frame_send(faults->urgent, FRAME_REQUEST, FRAME_COOKIE(0, mm->id), &run, 1,
				 err);
	}
	if (ret)
		faults->urgent = NULL;
	free(requests);
	return ret;
}

/* Only a failing ioctl shows that a process has ended. */
static void bury_gone(struct mm *mm)
{
	mm_lock(mm);
	for (size_t i = 0; i < mm->spaces.nr; i++)
		if (mm->spaces.list[i]->uffd >= 0 && space_probe(mm->spaces.list[i]))
			spaces_bury(mm, mm->spaces.list[i]);
	mm_unlock(mm);
}

/*
 * Act on the events of @space, if it is one of @mm, then retry faults and send requests of @mm.
 * Return: true when the caller must look at faults again soon
 */
static bool serve(struct faults *faults, struct mm *mm, struct space *space, struct error *err)
{
	bool again;

	mm_lock_urgent(mm);
	if (space)
		events_read(mm, space, err);
	if (mm->spaces.retry)
		events_retry(mm, err);
	again = mm->spaces.retry;
	mm_unlock(mm);
	send_requests(faults, mm, err);
	return again;
}

/* Return: the list, of which the thread is the owner then */
static struct mm *take_kicked(struct faults *faults)
{
	struct mm *list;

	pthread_mutex_lock(&faults->lock);
	list = faults->kicked;
	faults->kicked = NULL;
	pthread_mutex_unlock(&faults->lock);
	return list;
}

/* From now on a kick lists @mm again. Return: the next one of the list */
static struct mm *unlist(struct faults *faults, struct mm *mm)
{
	struct mm *next = mm->next_kicked;

	pthread_mutex_lock(&faults->lock);
	mm->kicked = false;
	pthread_mutex_unlock(&faults->lock);
	return next;
}

/* Return: true when the thread must look soon again at an mm, which is listed */
static bool serve_kicked(struct faults *faults, struct error *err)
{
	struct mm *list = take_kicked(faults);
	bool again = false;

	while (list) {
		struct mm *mm = list;

		list = unlist(faults, mm);
		if (!serve(faults, mm, NULL, err))
			continue;
		list_kicked(faults, mm);
		again = true;
	}
	return again;
}

static void look_for_ended(struct faults *faults)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(faults->objects, mm)))
		bury_gone(mm);
}

static void act(struct faults *faults, void *about, struct error *err)
{
	struct space *space = about;
	uint64_t count;

	if (about == &of_kick) {
		if (read(faults->kick, &count, sizeof(count)) < 0 && errno != EAGAIN)
			error_errno(err, CODE_INTERNAL, NULL, "cannot read an eventfd");
	} else if (about == &of_lazy) {
		if (faults->lazy)
			lazy_step(faults, err);
	} else if (serve(faults, events_mm(space), space, err)) {
		list_kicked(faults, events_mm(space));
	}
}

static void *faults_body(void *arg)
{
	struct faults *faults = arg;
	struct epoll_event events[READY_AT_ONCE];
	int64_t last_tick = clock_now_ms();
	bool again = false;

	while (!atomic_load(&faults->stop)) {
		int nr = epoll_wait(faults->epoll, events, READY_AT_ONCE,
				    again ? RETRY_MS : TICK_MS);
		bool tick = clock_now_ms() - last_tick >= TICK_MS;
		struct error err = { 0 };

		for (int i = 0; i < nr; i++)
			act(faults, events[i].data.ptr, &err);
		again = serve_kicked(faults, &err);
		if (tick) {
			look_for_ended(faults);
			last_tick = clock_now_ms();
		}
		if (error_is_set(&err))
			faults->hooks.failed(faults->hooks.ctx, &err);
	}
	return NULL;
}

int faults_start(struct faults *faults, struct error *err)
{
	if (thread_start(&faults->thread, faults_body, faults, err))
		return -1;
	faults->has_thread = true;
	return 0;
}

void faults_stop(struct faults *faults)
{
	if (!faults->has_thread)
		return;
	atomic_store(&faults->stop, true);
	faults_kick(faults, NULL);
	pthread_join(faults->thread, NULL);
	faults->has_thread = false;
}
