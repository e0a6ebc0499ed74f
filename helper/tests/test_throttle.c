// SPDX-License-Identifier: GPL-2.0
/* Steps of --on-stall throttle: of a real program, whose control group is a folder of plain files that looks like one. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "source/throttle.h"
#include "tests/test_dir.h"

#define PERIOD_US	100000

/** struct kit - @asked: the limits that the keeper was asked for */
static struct kit {
	struct test_dir dir;
	struct throttle throttle;
	struct source_keeper *keeper;
	long asked[CGROUP_CPU_STEPS + 2];
	size_t nr;
	bool keeper_is_dead;
} kit;

int __wrap_source_keeper_throttle(struct source_keeper *keeper, long quota_us, struct error *err)
{
	kit.asked[kit.nr++] = quota_us;
	return kit.keeper_is_dead ? error_set(err, CODE_INTERNAL, NULL, "the keeper is dead") : 0;
}

static void put(const char *name, const char *text)
{
	file_write(kit.dir.fd, name, text, strlen(text));
}

static pid_t program_start(bool busy)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!busy)
		pause();
	for (;;)
		;
}

/* Until a busy program has used @ms of CPU time more; on a busy machine it waits for that */
static void program_runs(pid_t pid, bool busy, long ms)
{
	struct timespec time;
	clockid_t clock;
	long until;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
		fail();
	until = time.tv_sec * 1000 + time.tv_nsec / 1000000 + ms;
	do {
		usleep(10000);
		clock_gettime(clock, &time);
	} while (busy && time.tv_sec * 1000 + time.tv_nsec / 1000000 < until);
}

/* A program that is the only one of its group, and has run for a while since the rounds began */
static void begin(bool busy)
{
	pid_t pid = program_start(busy);
	char text[16];

	memset(&kit, 0, sizeof(kit));
	dir_make(&kit.dir);
	kit.throttle = (struct throttle){
		.root = pid, .keeper = &kit.keeper,
		.cpu = { .kind = CGROUP_V2, .old_us = -1, .period_us = PERIOD_US, .line = "/" },
	};
	strcpy(kit.throttle.cpu.dir, kit.dir.path);
	snprintf(text, sizeof(text), "%d\n", pid);
	put("cgroup.procs", text);
	put("cpu.max", "max 100000\n");
	program_runs(pid, busy, 100);
	throttle_begin(&kit.throttle);
	program_runs(pid, busy, 100);
}

static void end(void)
{
	kill(kit.throttle.root, SIGKILL);
	waitpid(kit.throttle.root, NULL, 0);
	dir_remove(&kit.dir);
}

static void half_of_what_is_left_is_taken_each_time(void **state)
{
	static const unsigned int steps[] = { 50, 75, 87, 93, 96 };

	begin(true);
	assert_true(throttle_step(&kit.throttle));
	/* a busy machine gives the program less than a CPU */
	assert_in_range(kit.throttle.used_permille, 1, 1200);
	assert_int_equal(kit.throttle.percentage, steps[0]);
	kit.throttle.used_permille = 800;
	kit.throttle.cpu.set_us[0] = PERIOD_US;
	for (size_t i = 1; i < sizeof(steps) / sizeof(*steps); i++) {
		assert_true(throttle_step(&kit.throttle));
		assert_int_equal(kit.throttle.percentage, steps[i]);
		assert_int_equal(kit.asked[i], 800 * (100 - steps[i]) / 100 * (PERIOD_US / 1000));
	}
	/* it has to answer, now and then */
	assert_false(throttle_step(&kit.throttle));
	assert_int_equal(kit.nr, 5);
	throttle_end(&kit.throttle);
	assert_int_equal(kit.asked[5], 0);
	assert_int_equal(kit.throttle.percentage, 0);
	/* nothing is given back twice */
	throttle_end(&kit.throttle);
	assert_int_equal(kit.nr, 6);
	end();
}

static void a_program_that_uses_nothing_gets_no_less(void **state)
{
	begin(false);
	assert_false(throttle_step(&kit.throttle));
	assert_int_equal(kit.nr, 0);
	throttle_end(&kit.throttle);
	assert_int_equal(kit.nr, 0);
	end();
}

/* What is not of the program must not get less for it. */
static void a_stranger_in_the_group_stops_it(void **state)
{
	char text[32];

	begin(true);
	snprintf(text, sizeof(text), "%d\n%d\n", kit.throttle.root, getpid());
	put("cgroup.procs", text);
	assert_false(throttle_step(&kit.throttle));
	assert_int_equal(kit.nr, 0);
	assert_int_equal(kit.throttle.percentage, 0);
	end();
}

static void without_a_keeper_it_gives_all_back_itself(void **state)
{
	char found[64] = "";

	begin(true);
	assert_true(throttle_step(&kit.throttle));
	snprintf(found, sizeof(found), "%ld 100000\n", kit.asked[0]);
	put("cpu.max", found);
	kit.keeper_is_dead = true;
	throttle_end(&kit.throttle);
	memset(found, 0, sizeof(found));
	file_read(kit.dir.fd, "cpu.max", found, sizeof(found) - 1);
	assert_memory_equal(found, "max 100000", 10);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_what_is_left_is_taken_each_time),
		cmocka_unit_test(a_program_that_uses_nothing_gets_no_less),
		cmocka_unit_test(a_stranger_in_the_group_stops_it),
		cmocka_unit_test(without_a_keeper_it_gives_all_back_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
