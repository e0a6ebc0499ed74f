// SPDX-License-Identifier: GPL-2.0
/* The record of COMMIT: its contents, and the processes that may act on it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/proc.h"
#include "source/record.h"

static char base[64], dir[128];

static int make_dir(void **state)
{
	strcpy(base, "/tmp/test-record-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/0123-source", base);
	return mkdir(dir, 0700);
}

static int remove_all(void **state)
{
	struct error err = { 0 };

	record_remove(dir, RECORD_COMMIT, &err);
	rmdir(dir);
	return rmdir(base);
}

static struct record *of_this_process(void)
{
	struct record *record = calloc(1, sizeof(*record));
	struct proc_status status;
	struct error err = { 0 };

	assert_int_equal(proc_status_read(getpid(), &status, &err), 0);
	record->start_ticks = status.start_ticks;
	record->guard.pid = getpid();
	record->guard.was_stopped = true;
	record->guard.group.kind = CGROUP_V2;
	strcpy(record->guard.group.home, "/sys/fs/cgroup/with a blank");
	strcpy(record->guard.group.line, "/with a blank");
	strcpy(record->guard.group.dir, "/sys/fs/cgroup/with a blank/x");
	record->guard.criu.kind = CGROUP_V1;
	strcpy(record->guard.criu.dir, "/sys/fs/cgroup/y");
	strcpy(record->connections.filter, "migrate-helper-0123-source");
	record->connections.inside = true;
	strcpy(record->to, "[fd00::1]:7070");
	return record;
}

static void it_comes_back(void **state)
{
	struct record *record = of_this_process(), *got = calloc(1, sizeof(*got));
	struct error err = { 0 };
	int fd = record_write(dir, RECORD_COMMIT, record, &err);

	assert_true(fd >= 0);
	assert_int_equal(record_read(dir, RECORD_COMMIT, got, &err), 0);
	assert_int_equal(got->guard.pid, getpid());
	assert_int_equal(got->start_ticks, record->start_ticks);
	assert_true(got->guard.was_stopped);
	assert_false(got->guard.signalled);
	assert_int_equal(got->guard.group.kind, CGROUP_V2);
	assert_string_equal(got->guard.group.home, record->guard.group.home);
	assert_string_equal(got->guard.group.line, record->guard.group.line);
	assert_string_equal(got->guard.group.dir, record->guard.group.dir);
	assert_int_equal(got->guard.criu.kind, CGROUP_V1);
	assert_string_equal(got->guard.criu.dir, record->guard.criu.dir);
	assert_string_equal(got->connections.filter, record->connections.filter);
	assert_int_equal(got->connections.inside, record->connections.inside);
	assert_string_equal(got->to, record->to);
	assert_true(record_process_is(got));
	got->start_ticks++;
	assert_false(record_process_is(got));
	close(fd);
	free(got);
	free(record);
}

/* Who looks after the program keeps a person's hands off it. */
static void a_lock_keeps_others_away(void **state)
{
	struct record *record = of_this_process();
	struct error err = { 0 };
	int keeper, helper, person;

	assert_int_equal(record_lock(dir, RECORD_COMMIT), -1);
	keeper = record_write(dir, RECORD_COMMIT, record, &err);
	helper = record_lock(dir, RECORD_COMMIT);
	person = record_lock(dir, RECORD_COMMIT);
	assert_true(keeper >= 0 && helper >= 0 && person >= 0);
	assert_int_equal(flock(person, LOCK_EX | LOCK_NB), -1);
	close(keeper);
	assert_int_equal(flock(person, LOCK_EX | LOCK_NB), -1);
	close(helper);
	assert_int_equal(flock(person, LOCK_EX | LOCK_NB), 0);
	/* and the other way: nobody takes it up while a person acts */
	assert_int_equal(record_lock(dir, RECORD_COMMIT), -1);
	close(person);
	free(record);
}

static int note_kind(void *ctx, const char *path, enum record_kind kind,
		     const struct record *record)
{
	*(int *)ctx |= 1 << kind;
	return 0;
}

/* Both are there after COMMIT: that of COMMIT says more. */
static void commit_goes_before_guard(void **state)
{
	struct record *record = of_this_process();
	struct error err = { 0 };
	int guard, kinds = 0;

	guard = record_write(dir, RECORD_GUARD, record, &err);
	assert_true(guard >= 0);
	assert_false(record_is_alone(dir, RECORD_GUARD));
	assert_int_equal(record_each(base, note_kind, &kinds), 0);
	assert_int_equal(kinds, 1 << RECORD_GUARD);
	close(guard);
	assert_true(record_is_alone(dir, RECORD_GUARD));
	close(record_write(dir, RECORD_COMMIT, record, &err));
	kinds = 0;
	assert_int_equal(record_each(base, note_kind, &kinds), 0);
	assert_int_equal(kinds, 1 << RECORD_COMMIT);
	assert_int_equal(record_remove(dir, RECORD_GUARD, &err), 0);
	free(record);
}

static int count(void *ctx, const char *path, enum record_kind kind, const struct record *record)
{
	assert_string_equal(path, dir);
	++*(int *)ctx;
	return 0;
}

static void all_are_found(void **state)
{
	struct record *record = of_this_process();
	struct error err = { 0 };
	int nr = 0;

	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(nr, 0);
	close(record_write(dir, RECORD_COMMIT, record, &err));
	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(record_remove(dir, RECORD_COMMIT, &err), 0);
	assert_int_equal(record_remove(dir, RECORD_COMMIT, &err), 0);
	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(nr, 1);
	free(record);
}

/* Another user's word is no record: in a directory, or below a base, that others can write to. */
static void those_of_others_are_not(void **state)
{
	struct record *record = of_this_process();
	struct error err = { 0 };
	int nr = 0;

	close(record_write(dir, RECORD_COMMIT, record, &err));
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(chmod(base, 0777), 0);
	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(chmod(base, 0700), 0);
	if (!geteuid()) {
		assert_int_equal(chown(dir, 65534, 65534), 0);
		assert_int_equal(record_each(base, count, &nr), 0);
		assert_int_equal(chown(dir, 0, 0), 0);
		assert_int_equal(chown(base, 65534, 65534), 0);
		assert_int_equal(record_each(base, count, &nr), 0);
		assert_int_equal(chown(base, 0, 0), 0);
	}
	assert_int_equal(nr, 0);
	assert_int_equal(record_each(base, count, &nr), 0);
	assert_int_equal(nr, 1);
	free(record);
}

static void damaged(void **state)
{
	static const char *const texts[] = { "", "pid 1\n", "pid\nstart\n", "start 5\n\0pid 7\n" };
	struct record *record = calloc(1, sizeof(*record));
	char path[PATH_MAX];

	record_path(dir, RECORD_COMMIT, path, sizeof(path));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		FILE *file = fopen(path, "we");
		struct error err = { 0 };

		fputs(texts[i], file);
		fclose(file);
		assert_int_equal(record_read(dir, RECORD_COMMIT, record, &err), -1);
		assert_true(error_is_set(&err));
	}
	free(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_comes_back, make_dir, remove_all),
		cmocka_unit_test_setup_teardown(a_lock_keeps_others_away, make_dir, remove_all),
		cmocka_unit_test_setup_teardown(commit_goes_before_guard, make_dir, remove_all),
		cmocka_unit_test_setup_teardown(all_are_found, make_dir, remove_all),
		cmocka_unit_test_setup_teardown(those_of_others_are_not, make_dir, remove_all),
		cmocka_unit_test_setup_teardown(damaged, make_dir, remove_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
