// SPDX-License-Identifier: GPL-2.0
/* Of migrations that begin at once of one program, or of parts of it, exactly one goes on. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include "base/clock.h"
#include "os/proc.h"
#include "source/guard_lock.h"
#include "tests/family.h"

#define RACES		20
#define WAIT_MS		2000	/* for the lock of a descendant */
#define RUNNERS		3

/** struct race - shared by the processes that run it; @locked: how many have the lock. Each keeps it until all were told */
struct race {
	volatile unsigned int ready, locked, told;
};

static int set_up(void **state)
{
	struct counting *program = calloc(1, sizeof(*program));

	*state = program;
	family_start(program);
	family_have(program, SIGUSR1);
	return 0;
}

static int tear_down(void **state)
{
	family_end(*state);
	free(*state);
	return 0;
}

static int lock(struct guard *guard, pid_t pid, struct error *err)
{
	*guard = (struct guard){ .pid = pid, .pidfd = -1, .lock_fd = -1 };
	memset(err, 0, sizeof(*err));
	return guard_lock(guard, err);
}

static bool is_refused(const struct error *err, pid_t pid)
{
	char what[64];

	snprintf(what, sizeof(what), "another migration of process %d is under way", pid);
	return err->code == CODE_REFUSED && !strcmp(err->what, what);
}

/* @one is migrated; then @other, which has it or is had by it, is not, until that has ended */
static void keeps_off(pid_t one, pid_t other)
{
	struct guard first, second;
	struct error err;

	assert_int_equal(lock(&first, one, &err), 0);
	assert_int_equal(lock(&second, other, &err), -1);
	assert_true(is_refused(&err, one));
	assert_int_equal(second.lock_fd, -1);
	guard_close(&first);
	assert_int_equal(lock(&second, other, &err), 0);
	guard_close(&second);
}

static void one_program_twice(void **state)
{
	const struct counting *program = *state;

	keeps_off(program->pid, program->pid);
}

static void a_parent_and_its_child(void **state)
{
	const struct counting *program = *state;

	keeps_off(program->pid, others->parent);
	keeps_off(others->parent, program->pid);
}

static void a_grandchild(void **state)
{
	const struct counting *program = *state;

	keeps_off(program->pid, others->pid);
	keeps_off(others->pid, program->pid);
}

/* A program that locks its own memory is no migration, and says so for ever. */
static void a_lock_of_its_own(void **state)
{
	const struct counting *program = *state;
	char path[32], what[96];
	struct guard guard;
	struct error err;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", others->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	prctl(PR_SET_NAME, "a-server");
	assert_int_equal(lock(&guard, program->pid, &err), -1);
	prctl(PR_SET_NAME, "migrate-helper");
	assert_int_equal(err.code, CODE_REFUSED);
	snprintf(what, sizeof(what), "process %d (a-server) has a lock (flock) on %s,", getpid(), path);
	assert_true(!strncmp(err.what, what, strlen(what)));
	close(fd);
}

/* This process is the parent of the program, and no part of it. */
static void a_program_beside_it(void **state)
{
	const struct counting *program = *state;
	struct guard first, second;
	struct error err;
	pid_t beside = fork();

	if (!beside) {
		alarm(60);
		for (;;)
			pause();
	}
	assert_int_equal(lock(&first, program->pid, &err), 0);
	assert_int_equal(lock(&second, beside, &err), 0);
	guard_close(&first);
	guard_close(&second);
	kill(beside, SIGKILL);
	waitpid(beside, NULL, 0);
}

static void run(struct race *race, pid_t pid)
{
	struct guard guard;
	struct error err;

	__atomic_add_fetch(&race->ready, 1, __ATOMIC_SEQ_CST);
	while (race->ready < RUNNERS)
		sched_yield();
	if (!lock(&guard, pid, &err))
		__atomic_add_fetch(&race->locked, 1, __ATOMIC_SEQ_CST);
	else if (err.code != CODE_REFUSED)
		_exit(1);
	__atomic_add_fetch(&race->told, 1, __ATOMIC_SEQ_CST);
	/* the process that was refused has ended: the one with the lock goes on with it */
	while (guard.lock_fd >= 0 && race->told < RUNNERS)
		usleep(100);
	_exit(0);
}

static void all_at_once(void **state)
{
	const struct counting *program = *state;
	const pid_t pids[RUNNERS] = { program->pid, others->parent, others->pid };
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(race != MAP_FAILED);
	for (int i = 0; i < RACES; i++) {
		int64_t begin = clock_now_ms();
		int status, failed = 0;

		*race = (struct race){ 0 };
		for (int j = 0; j < RUNNERS; j++)
			if (!fork())
				run(race, pids[(i + j) % RUNNERS]);
		for (int j = 0; j < RUNNERS; j++) {
			wait(&status);
			failed |= status;
		}
		assert_int_equal(failed, 0);
		assert_true(race->locked <= 1);
		/* on a machine so busy that who gives up does it too late, nobody goes on */
		assert_true(race->locked || clock_now_ms() - begin >= WAIT_MS);
	}
	munmap(race, sizeof(*race));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_program_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_parent_and_its_child, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_grandchild, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_program_beside_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lock_of_its_own, set_up, tear_down),
	};

	/* whose locks are those of migrations */
	prctl(PR_SET_NAME, "migrate-helper");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
