// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include "criu/repairs.h"
#include "tests/criu_images.h"

#define TID		78
#define PC		0x1000	/* behind the system call instruction */

/* Memory of the task, as /proc/PID/mem would have it. */
#define SPEC_AT		0x2000
#define OTHER_SPEC_AT	0x3000

struct fixture {
	struct test_dir dir;
	struct criu_task task;
	struct error err;
	int mem_fd;
	struct criu_wait waits[4];
	size_t nr_waits;
};

static int setup(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x05 };
	struct timespec spec = { .tv_sec = 3600 };
	struct fixture *f = calloc(1, sizeof(*f));

	dir_make(&f->dir);
	f->mem_fd = memfd_create("mem", 0);
	assert_int_equal(pwrite(f->mem_fd, code, sizeof(code), PC - sizeof(code)), 2);
	assert_int_equal(pwrite(f->mem_fd, &spec, sizeof(spec), SPEC_AT), sizeof(spec));
	f->task.tids = calloc(2, sizeof(pid_t));
	f->task.tids[0] = TEST_PID;
	f->task.nr_threads = 1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	criu_task_free(&f->task);
	close(f->mem_fd);
	dir_remove(&f->dir);
	free(f);
	return 0;
}

/* timerfds */

static void timers_write(int dir_fd, const Img__TimerfdEntry *timers, size_t nr)
{
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_FILES);
	for (size_t i = 0; i < nr; i++) {
		Img__FileEntry file = IMG__FILE_ENTRY__INIT;

		file.timerfd = (Img__TimerfdEntry *)&timers[i];
		image_out_add(&out, &file.base);
	}
	assert_int_equal(image_out_store(&out, dir_fd, "files.img", &err), 0);
	image_out_free(&out);
}

static void timer_read(int dir_fd, size_t i, Img__TimerfdEntry *timer)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;

	assert_int_equal(image_open(&image, dir_fd, "files.img", IMAGE_FILES, &err), 0);
	for (size_t at = 0; at <= i; at++) {
		assert_int_equal(image_next(&image, &img__file_entry__descriptor, &msg, &err), 1);
		if (at == i) {
			*timer = *((Img__FileEntry *)msg)->timerfd;
			timer->base.unknown_fields = NULL;
		}
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
}

static void timer_make(Img__TimerfdEntry *timer, int clock, uint64_t ticks, uint64_t value_sec,
		       uint64_t interval_sec)
{
	img__timerfd_entry__init(timer);
	timer->clockid = clock;
	timer->ticks = ticks;
	timer->value_sec = value_sec;
	timer->interval_sec = interval_sec;
}

static void test_timerfds(void **state)
{
	struct fixture *f = *state;
	Img__TimerfdEntry timers[6], got;
	struct criu_timerfds done;

	timer_make(&timers[0], CLOCK_MONOTONIC, 2, 0, 5);	/* periodic, expired unread */
	timer_make(&timers[1], CLOCK_MONOTONIC, 1, 0, 0);	/* one-shot, expired unread */
	timer_make(&timers[2], CLOCK_MONOTONIC, 0, 7, 0);
	timers[2].settime_flags = TFD_TIMER_ABSTIME;
	timer_make(&timers[3], CLOCK_REALTIME, 0, 7, 0);
	timers[3].settime_flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	timer_make(&timers[4], CLOCK_MONOTONIC, 0, 0, 5);	/* disarmed */
	timer_make(&timers[5], CLOCK_MONOTONIC, 0, 3, 5);	/* as it should be */
	timers_write(f->dir.fd, timers, 6);
	assert_int_equal(criu_timerfds_repair(f->dir.fd, &done, &f->err), 0);
	assert_int_equal(done.armed, 1);
	assert_int_equal(done.absolute, 2);
	timer_read(f->dir.fd, 0, &got);
	assert_int_equal(got.value_sec, 5);
	assert_int_equal(got.ticks, 2);
	timer_read(f->dir.fd, 1, &got);
	assert_int_equal(got.value_sec, 0);
	assert_int_equal(got.ticks, 1);
	timer_read(f->dir.fd, 2, &got);
	assert_int_equal(got.settime_flags, 0);
	assert_int_equal(got.value_sec, 7);
	timer_read(f->dir.fd, 3, &got);
	assert_int_equal(got.settime_flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	assert_int_equal(got.value_sec, 8);
	timer_read(f->dir.fd, 4, &got);
	assert_int_equal(got.value_sec, 0);
	timer_read(f->dir.fd, 5, &got);
	assert_int_equal(got.value_sec, 3);
}

static void test_timerfds_damaged(void **state)
{
	struct fixture *f = *state;
	struct criu_timerfds done;

	file_write(f->dir.fd, "files.img", "garbage!garbage!", 16);
	assert_int_equal(criu_timerfds_repair(f->dir.fd, &done, &f->err), -1);
	assert_int_equal(f->err.code, CODE_CRIU);
}

/* waits */

struct core {
	Img__CoreEntry core;
	Img__ThreadInfo info;
	Img__Registers regs;
	Img__TaskCore tc;
	Img__SignalQueue queue;
	Img__Siginfo signal, *signals[1];
	int32_t signo;
};

static void core_make(struct core *core, long nr)
{
	img__core_entry__init(&core->core);
	img__thread_info__init(&core->info);
	img__registers__init(&core->regs);
	img__task_core__init(&core->tc);
	img__signal_queue__init(&core->queue);
	img__siginfo__init(&core->signal);
	core->core.thread_info = &core->info;
	core->core.tc = &core->tc;
	core->info.gpregs = &core->regs;
	core->regs.orig_ax = nr;
	core->regs.ax = -EINTR;
	core->regs.ip = PC;
}

static void core_pending(struct core *core, int signo, uint64_t blocked)
{
	core->signo = signo;
	core->signal.siginfo.data = (uint8_t *)&core->signo;
	core->signal.siginfo.len = sizeof(core->signo);
	core->signals[0] = &core->signal;
	core->queue.signals = core->signals;
	core->queue.n_signals = 1;
	core->tc.pending = &core->queue;
	core->tc.has_blocked = true;
	core->tc.blocked = blocked;
}

static void core_store(struct fixture *f, pid_t tid, struct core *core)
{
	char name[IMAGE_NAME_MAX];

	snprintf(name, sizeof(name), "core-%d.img", tid);
	one_record(f->dir.fd, name, IMAGE_CORE, &core->core.base);
}

static void note(void *ctx, const struct criu_wait *wait)
{
	struct fixture *f = ctx;

	assert_true(f->nr_waits < 4);
	f->waits[f->nr_waits++] = *wait;
}

static void repair(struct fixture *f)
{
	f->nr_waits = 0;
	assert_int_equal(criu_cores_repair(f->dir.fd, &f->task, f->mem_fd, note, f, &f->err), 0);
}

/* Does thread @tid make its call again? */
static bool restarts(struct fixture *f, pid_t tid, long nr)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	Img__Registers *regs;
	bool ret;

	snprintf(name, sizeof(name), "core-%d.img", tid);
	assert_int_equal(image_read_one(f->dir.fd, name, IMAGE_CORE, &img__core_entry__descriptor,
					&msg, &f->err), 0);
	regs = ((Img__CoreEntry *)msg)->thread_info->gpregs;
	ret = regs->ip == PC - 2;
	assert_int_equal(regs->ax, ret ? (uint64_t)nr : (uint64_t)-EINTR);
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static bool restarts_call(struct fixture *f, struct core *core, long nr)
{
	core_store(f, TEST_PID, core);
	repair(f);
	return restarts(f, TEST_PID, nr);
}

static void test_wait_poll(void **state)
{
	struct fixture *f = *state;
	struct core core;

	core_make(&core, SYS_poll);
	core.regs.dx = (uint32_t)-1;
	assert_true(restarts_call(f, &core, SYS_poll));
	assert_int_equal(f->nr_waits, 1);
	assert_string_equal(f->waits[0].call, "poll");
	assert_true(f->waits[0].restarted);
	assert_int_equal(f->waits[0].timeout, TIMEOUT_NONE);
	core.regs.dx = 1500;
	assert_true(restarts_call(f, &core, SYS_poll));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_WHOLE);
	assert_int_equal(f->waits[0].timeout_ns, 1500000000);
}

static void test_wait_nanosleep(void **state)
{
	struct fixture *f = *state;
	struct core core;

	core_make(&core, SYS_nanosleep);
	core.regs.di = SPEC_AT;
	core.regs.si = OTHER_SPEC_AT;
	assert_true(restarts_call(f, &core, SYS_nanosleep));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_WHOLE);
	assert_int_equal(f->waits[0].timeout_ns, 3600000000000);
	core.regs.si = SPEC_AT;
	assert_true(restarts_call(f, &core, SYS_nanosleep));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_NONE);
	core_make(&core, SYS_clock_nanosleep);
	core.regs.dx = SPEC_AT;
	assert_true(restarts_call(f, &core, SYS_clock_nanosleep));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_WHOLE);
}

static void test_wait_futex(void **state)
{
	struct fixture *f = *state;
	struct core core;

	core_make(&core, SYS_futex);
	core.regs.si = 128;		/* FUTEX_WAIT_PRIVATE: relative */
	core.regs.r10 = SPEC_AT;
	assert_true(restarts_call(f, &core, SYS_futex));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_WHOLE);
	core.regs.si = 9 | 128;		/* FUTEX_WAIT_BITSET_PRIVATE: absolute */
	assert_true(restarts_call(f, &core, SYS_futex));
	assert_int_equal(f->waits[0].timeout, TIMEOUT_NONE);
}

/* Calls of which it is not sure that they can be made once more. */
static void test_wait_left(void **state)
{
	static const long calls[] = { SYS_connect, SYS_restart_syscall, SYS_close, 100000 };
	struct fixture *f = *state;
	struct core core;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		core_make(&core, calls[i]);
		assert_false(restarts_call(f, &core, calls[i]));
		assert_int_equal(f->nr_waits, 1);
		assert_null(f->waits[0].call);
		assert_false(f->waits[0].restarted);
		assert_int_equal(f->waits[0].nr, calls[i]);
	}
}

static void test_wait_not_interrupted(void **state)
{
	struct fixture *f = *state;
	struct core core;

	/* in the program's own code, with a value in ax that looks like it */
	core_make(&core, -1);
	assert_false(restarts_call(f, &core, SYS_poll));
	assert_int_equal(f->nr_waits, 0);
	core_make(&core, SYS_poll);
	core.regs.ax = -EAGAIN;
	core_store(f, TEST_PID, &core);
	repair(f);
	assert_int_equal(f->nr_waits, 0);
	/* through int $0x80, where 7 is another call */
	core_make(&core, SYS_poll);
	core.regs.ip = PC + 0x100;
	core_store(f, TEST_PID, &core);
	repair(f);
	assert_int_equal(f->nr_waits, 1);
	assert_false(f->waits[0].restarted);
}

/* A handler that is about to run ends the call; a signal that is blocked does not. */
static void test_wait_signal(void **state)
{
	struct fixture *f = *state;
	struct core core;

	core_make(&core, SYS_poll);
	core_pending(&core, SIGUSR1, 0);
	assert_false(restarts_call(f, &core, SYS_poll));
	assert_int_equal(f->nr_waits, 0);
	core_pending(&core, SIGUSR1, 1UL << (SIGUSR1 - 1));
	assert_true(restarts_call(f, &core, SYS_poll));
}

/* A signal of the process may go to any thread; one of another thread may not. */
static void test_wait_threads(void **state)
{
	struct fixture *f = *state;
	struct core core;

	f->task.tids[1] = TID;
	f->task.nr_threads = 2;
	core_make(&core, SYS_poll);
	core_pending(&core, SIGUSR1, 1UL << (SIGUSR1 - 1));
	core_store(f, TEST_PID, &core);
	core_make(&core, SYS_poll);
	core.core.tc = NULL;
	core_store(f, TID, &core);
	repair(f);
	assert_true(restarts(f, TEST_PID, SYS_poll));
	assert_false(restarts(f, TID, SYS_poll));
	assert_int_equal(f->nr_waits, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timerfds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timerfds_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_poll, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_nanosleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_futex, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_not_interrupted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
