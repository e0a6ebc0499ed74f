// SPDX-License-Identifier: GPL-2.0
/* The source's keeper when its helper has ended after COMMIT: the program stands until it is decided. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "os/proc.h"
#include "source/guard_lock.h"
#include "source/keeper.h"
#include "tests/family.h"
#include "tests/ledger_kit.h"
#include "tests/v1_group.h"

/** struct kit - @dir: of the migration; @helper: has a keeper, and is killed */
struct kit {
	struct counting program;
	struct record record;
	char dir[64];
	pid_t helper;
	struct error err;
};

/* The helper's process: COMMIT is recorded, and @ready is told so. */
static void be_helper(struct kit *kit, int ready)
{
	struct source_keeper *keeper = source_keeper_start(&kit->record, kit->dir, &kit->err);
	bool recorded = false;

	if (!keeper || source_keeper_guard(keeper, LATER_MS, &kit->err) ||
	    source_keeper_commit(keeper, LATER_MS, &recorded, &kit->err) || !recorded ||
	    write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* The program is about to be stopped by CRIU, and the helper does not go on: but for 100 ms the time is over. */
static void enter_and_stop(struct kit *kit)
{
	struct source_keeper *keeper = source_keeper_start(&kit->record, kit->dir, &kit->err);

	if (!keeper || source_keeper_enter(keeper, -14900, &kit->err))
		_exit(1);
	raise(SIGSTOP);
	_exit(0);
}

static void commit_and_die(struct kit *kit)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	kit->helper = fork();
	if (!kit->helper)
		be_helper(kit, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(kit->helper, SIGKILL);
	waitpid(kit->helper, NULL, 0);
}

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	struct proc_status status;
	char id[32];

	*state = kit;
	strcpy(kit->dir, "/tmp/test-source-kept-XXXXXX");
	family_start(&kit->program);
	snprintf(id, sizeof(id), "test-%d", kit->program.pid);
	if (!mkdtemp(kit->dir) || proc_status_read(kit->program.pid, &status, &kit->err))
		return -1;
	kit->record.start_ticks = status.start_ticks;
	noted_begin(LEDGER_SOURCE);
	kit->record.ledger = noted;
	return guard_plan(&kit->record.guard, kit->program.pid, false, id, &kit->err);
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	guard_off(&kit->record.guard, &(struct error){ 0 });
	family_end(&kit->program);
	close(kit->record.guard.pidfd);
	free(kit);
	return 0;
}

/* Return: true when the keeper, which has nothing to wait for, has removed the directory */
static bool is_over(const struct kit *kit)
{
	for (int ms = 0; ms < LATER_MS && !access(kit->dir, F_OK); ms++)
		usleep(1000);
	return access(kit->dir, F_OK);
}

/* The rest of a program that was handed over must neither stand for ever, nor run, not even on its way to its end. */
static void kill_the_root(struct kit *kit)
{
	const struct counting other = { .count = &others->count };
	uint64_t count;

	family_have(&kit->program, SIGUSR1);
	commit_and_die(kit);
	assert_true(counting_stands(&other));
	assert_int_equal(noted_entry().state, LEDGER_COMMITTED);
	count = others->count;
	kill(kit->program.pid, SIGKILL);
	waitpid(kit->program.pid, NULL, 0);
	assert_true(is_over(kit));
	assert_int_equal(noted_entry().state, LEDGER_ENDED);
	assert_false(cgroup_exists(&kit->record.guard.group));
	assert_true(counting_stands(&other));
	assert_int_equal(others->count, count);
}

static void a_helper_that_stops_before_the_guard_is_ended(void **state)
{
	struct kit *kit = *state;
	int status;

	if (kit->record.guard.group.kind == CGROUP_NONE)
		skip();
	kit->helper = fork();
	if (!kit->helper)
		enter_and_stop(kit);
	assert_int_equal(waitpid(kit->helper, &status, 0), kit->helper);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	for (int ms = 0; ms < LATER_MS && cgroup_exists(&kit->record.guard.group); ms++)
		usleep(1000);
	assert_false(cgroup_exists(&kit->record.guard.group));
	assert_true(counting_runs(&kit->program));
}

static void the_root_is_killed(void **state)
{
	struct kit *kit = *state;

	if (kit->record.guard.group.kind == CGROUP_NONE)
		skip();
	kill_the_root(kit);
}

/* The v1 freezer keeps the killed root. */
static void the_root_is_killed_in_the_v1_freezer(void **state)
{
	struct kit *kit = *state;
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-test-%d", kit->program.pid);
	if (!v1_group_plan(&kit->record.guard.group, kit->program.pid, name)) {
		print_message("this needs the freezer of cgroup v1\n");
		skip();
	}
	kill_the_root(kit);
}

/* A person lets the program go, and its root ends at once: the rest is not the keeper's any more. */
static void the_root_ends_while_it_is_released(void **state)
{
	struct kit *kit = *state;
	const struct counting other = { .count = &others->count };
	int lock;

	if (kit->record.guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	commit_and_die(kit);
	do
		lock = record_lock(kit->dir, RECORD_COMMIT);
	while (lock < 0 || flock(lock, LOCK_EX | LOCK_NB));
	kill(kit->program.pid, SIGKILL);
	waitpid(kit->program.pid, NULL, 0);
	usleep(3 * STANDS_MS * 1000);
	assert_int_equal(guard_off(&kit->record.guard, &kit->err), 0);
	assert_int_equal(record_remove(kit->dir, RECORD_COMMIT, &kit->err), 0);
	close(lock);
	assert_true(is_over(kit));
	assert_true(counting_runs(&other));
}

/* No other migration begins although the helper is dead: the keeper has the program. */
static void the_keeper_has_the_lock(void **state)
{
	struct kit *kit = *state;
	struct guard second = kit->record.guard;

	if (kit->record.guard.group.kind == CGROUP_NONE)
		skip();
	assert_int_equal(guard_lock(&kit->record.guard, &kit->err), 0);
	commit_and_die(kit);
	close(kit->record.guard.lock_fd);
	assert_int_equal(guard_lock(&second, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	memset(&kit->err, 0, sizeof(kit->err));
	kill(kit->program.pid, SIGKILL);
	waitpid(kit->program.pid, NULL, 0);
	assert_true(is_over(kit));
}

/* The limit of the group is in a folder that looks like one. */
static void put_limit(struct kit *kit, const char *text)
{
	char path[PATH_MAX + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cpu.max", kit->record.cpu.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) > 0);
	assert_int_equal(fclose(file), 0);
}

static bool has_limit(struct kit *kit, const char *text)
{
	char path[PATH_MAX + 16], found[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/cpu.max", kit->record.cpu.dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(found, sizeof(found), file));
	fclose(file);
	return !strcmp(found, text);
}

static void throttle_and_die(struct kit *kit, long quota_us)
{
	struct source_keeper *keeper = source_keeper_start(&kit->record, kit->dir, &kit->err);

	if (!keeper || source_keeper_throttle(keeper, quota_us, &kit->err))
		_exit(1);
	kill(getpid(), SIGKILL);
}

/* In a round, when nothing stands yet. */
static void a_killed_helper_leaves_no_limit(void **state)
{
	struct kit *kit = *state;
	int status;

	strcpy(kit->record.cpu.dir, "/tmp/test-source-limit-XXXXXX");
	assert_non_null(mkdtemp(kit->record.cpu.dir));
	kit->record.cpu.kind = CGROUP_V2;
	kit->record.cpu.old_us = 80000;
	kit->record.cpu.period_us = 100000;
	put_limit(kit, "80000 100000");
	kit->helper = fork();
	if (!kit->helper)
		throttle_and_die(kit, 20000);
	assert_int_equal(waitpid(kit->helper, &status, 0), kit->helper);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(is_over(kit));
	assert_true(has_limit(kit, "80000 100000"));
	/* what the keeper did not set it does not take away */
	assert_non_null(mkdtemp(strcpy(kit->dir, "/tmp/test-source-kept-XXXXXX")));
	put_limit(kit, "70000 100000");
	kit->helper = fork();
	if (!kit->helper)
		throttle_and_die(kit, 0);
	assert_int_equal(waitpid(kit->helper, &status, 0), kit->helper);
	assert_true(is_over(kit));
	assert_true(has_limit(kit, "70000 100000"));
	snprintf(kit->dir, sizeof(kit->dir), "%.40s/cpu.max", kit->record.cpu.dir);
	unlink(kit->dir);
	rmdir(kit->record.cpu.dir);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_helper_that_stops_before_the_guard_is_ended),
		KIT_TEST(the_root_is_killed),
		KIT_TEST(the_root_is_killed_in_the_v1_freezer),
		KIT_TEST(the_keeper_has_the_lock),
		KIT_TEST(a_killed_helper_leaves_no_limit),
		KIT_TEST(the_root_ends_while_it_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
