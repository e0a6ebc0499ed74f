// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper of the source: the descriptors that it holds for trackers, a guard that is switched
 * on twice, and the group that the program enters before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/criu.h"
#include "os/proc.h"
#include "source/keeper.h"
#include "source/kept_trackers.h"
#include "tests/in_group.h"

#define SOFT_FDS	64
#define MANY		100

/** struct kit - a keeper, its directory, and the child that it guards */
struct kit {
	char dir[64];
	pid_t child;
	struct record *record;
	struct source_keeper *keeper;
};

/* Ends with @parent, which may have ended before the kernel was told so. */
static void live_below(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void have_child(int sig)
{
	pid_t parent = getpid();

	if (!fork())
		live_below(parent);
}

/* At SIGUSR1 it has a child of its own. */
static pid_t start_child(void)
{
	pid_t parent = getpid(), pid;

	signal(SIGUSR1, have_child);
	pid = fork();
	if (!pid)
		live_below(parent);
	return pid;
}

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	struct rlimit limit, few;
	struct proc_status status;
	struct error err = { 0 };
	char id[32];

	*state = kit;
	strcpy(kit->dir, "/tmp/test-source-keeper-XXXXXX");
	kit->record = calloc(1, sizeof(*kit->record));
	kit->child = start_child();
	snprintf(id, sizeof(id), "test-%d", kit->child);
	if (!mkdtemp(kit->dir) || proc_status_read(kit->child, &status, &err) ||
	    guard_plan(&kit->record->guard, kit->child, false, id, &err))
		return -1;
	kit->record->start_ticks = status.start_ticks;
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = SOFT_FDS;
	setrlimit(RLIMIT_NOFILE, &few);
	kit->keeper = source_keeper_start(kit->record, kit->dir, &err);
	setrlimit(RLIMIT_NOFILE, &limit);
	return kit->keeper ? 0 : -1;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	source_keeper_end(kit->keeper, false);
	kill(kit->child, SIGKILL);
	waitpid(kit->child, NULL, 0);
	close(kit->record->guard.pidfd);
	free(kit->record);
	free(kit);
	return 0;
}

/**
 * struct kept - a tracker that the keeper holds
 * @session: of no meaning, open here as long as the tracker
 * @pipe: the read end; the keeper alone has the write end
 */
struct kept {
	int session, pipe;
};

static void keep_pipe(struct kit *kit, struct kept *kept)
{
	struct error err = { 0 };
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(source_keeper_keep(kit->keeper, kept->session, pair[1], &err), 0);
	close(pair[1]);
	kept->pipe = pair[0];
}

static struct kept keep(struct kit *kit)
{
	struct kept kept = { .session = open("/dev/null", O_RDWR | O_CLOEXEC) };

	keep_pipe(kit, &kept);
	return kept;
}

static void forget(struct kit *kit, const struct kept *kept)
{
	struct error err = { 0 };

	assert_int_equal(source_keeper_keep(kit->keeper, kept->session, -1, &err), 0);
}

static bool is_held(const struct kept *kept)
{
	char byte;

	return read(kept->pipe, &byte, 1) == -1 && errno == EAGAIN;
}

static void kept_close(const struct kept *kept)
{
	close(kept->session);
	close(kept->pipe);
}

/* Each address space has a tracker: a process that ends takes its own with it. */
static void test_holds_and_drops(void **state)
{
	struct kit *kit = *state;
	struct kept first = keep(kit), second = keep(kit), third = keep(kit);

	assert_true(is_held(&first) && is_held(&second) && is_held(&third));
	forget(kit, &second);
	assert_false(is_held(&second));
	assert_true(is_held(&first) && is_held(&third));
	/* of which there is none any more */
	forget(kit, &second);
	forget(kit, &first);
	forget(kit, &third);
	assert_false(is_held(&first) || is_held(&third));
	kept_close(&first);
	kept_close(&second);
	kept_close(&third);
}

static void test_a_new_one_replaces_the_old(void **state)
{
	struct kit *kit = *state;
	struct kept other = keep(kit), old = keep(kit), new = { .session = old.session };

	keep_pipe(kit, &new);
	assert_false(is_held(&old));
	assert_true(is_held(&new) && is_held(&other));
	close(old.pipe);
	kept_close(&new);
	kept_close(&other);
}

/* More than the keeper's soft limit of descriptors when it was started. */
static void test_holds_many(void **state)
{
	struct kept *kept = calloc(MANY, sizeof(*kept));
	struct kit *kit = *state;

	for (int i = 0; i < MANY; i++)
		kept[i] = keep(kit);
	for (int i = 0; i < MANY; i++) {
		assert_true(is_held(&kept[i]));
		kept_close(&kept[i]);
	}
	free(kept);
}

static struct kept_tracker unprotected[3];
static size_t nr_unprotected;

static void take_unprotected(int session_fd, int uffd)
{
	assert_true(fcntl(session_fd, F_GETFD) >= 0 && fcntl(uffd, F_GETFD) >= 0);
	unprotected[nr_unprotected++] = (struct kept_tracker){ .session_fd = session_fd, .uffd = uffd };
}

/* The helper was killed: the protection of each address space is lifted before its userfaultfd is closed. */
static void test_each_is_unprotected(void **state)
{
	struct kept_trackers trackers = { 0 };
	struct error err = { 0 };
	int fds[6];

	for (int i = 0; i < 6; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kept_trackers_add(&trackers, 100 + i, fds[2 * i], fds[2 * i + 1], &err), 0);
	kept_trackers_forget(&trackers, 101);
	kept_trackers_end(&trackers, take_unprotected);
	assert_int_equal(nr_unprotected, 2);
	assert_int_equal(unprotected[0].uffd + unprotected[1].uffd, fds[1] + fds[5]);
	assert_int_equal(unprotected[0].session_fd + unprotected[1].session_fd, fds[0] + fds[4]);
	for (int i = 0; i < 6; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
}

static bool has_record(const struct kit *kit)
{
	char path[PATH_MAX];

	record_path(kit->dir, RECORD_GUARD, path, sizeof(path));
	return !access(path, F_OK);
}

/* CRIU thaws a group that it finds frozen, and the guard has to stand again. */
static void test_guards_again(void **state)
{
	struct kit *kit = *state;
	struct cgroup *group = &kit->record->guard.group;
	struct error err = { 0 };

	if (group->kind == CGROUP_NONE)
		skip();
	assert_int_equal(source_keeper_guard(kit->keeper, 10000, &err), 0);
	assert_true(cgroup_is_told_to_freeze(group));
	assert_int_equal(cgroup_thaw(group, &err), 0);
	assert_int_equal(source_keeper_guard(kit->keeper, 10000, &err), 0);
	assert_true(cgroup_is_told_to_freeze(group));
	assert_true(has_record(kit));
	assert_int_equal(source_keeper_unguard(kit->keeper, &err), 0);
	assert_false(cgroup_exists(group));
	assert_false(has_record(kit));
	/* nobody holds a lock on a record that comes later */
	assert_int_equal(source_keeper_guard(kit->keeper, 10000, &err), 0);
	assert_true(has_record(kit));
	assert_int_equal(source_keeper_unguard(kit->keeper, &err), 0);
}

/* The program runs on in the group. A child that is born there must not stay there when it is given up. */
static void test_enters_and_leaves(void **state)
{
	struct kit *kit = *state;
	struct cgroup *group = &kit->record->guard.group;
	struct error err = { 0 };

	if (group->kind == CGROUP_NONE)
		skip();
	assert_int_equal(source_keeper_enter(kit->keeper, 10000, &err), 0);
	assert_true(in_group(group, kit->child));
	assert_false(cgroup_is_told_to_freeze(group));
	assert_false(has_record(kit));
	kill(kit->child, SIGUSR1);
	for (int ms = 0; ms < 20000 && in_group_count(group) < 2; ms++)
		usleep(1000);
	assert_int_equal(in_group_count(group), 2);
	assert_int_equal(source_keeper_unguard(kit->keeper, &err), 0);
	assert_false(cgroup_exists(group));
}

/* What the kernel writes while CRIU's code runs: each page of each area, wherever the area begins. */
static void test_rseq_counts_as_written(void **state)
{
	struct criu_area areas[] = {
		{ .addr = 0x7000 + 32, .bytes = 32 },
		{ .addr = 0xa000 - 8, .bytes = 32 },
	};
	struct criu_task task = { .rseq = areas, .nr_rseq = 2 };
	struct error err = { 0 };
	struct page_set written;
	struct run run;

	page_set_init(&written);
	assert_int_equal(criu_task_add_rseq(&task, &written, &err), 0);
	assert_int_equal(written.nr, 3);
	assert_true(page_set_next(&written, 0, USER_END, 0, &run));
	assert_int_equal(run.addr, 0x7000);
	assert_int_equal(run.nr_pages, 1);
	assert_true(page_set_next(&written, 0x8000, USER_END, 0, &run));
	assert_int_equal(run.addr, 0x9000);
	assert_int_equal(run.nr_pages, 2);
	page_set_destroy(&written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_holds_and_drops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_one_replaces_the_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holds_many, set_up, tear_down),
		cmocka_unit_test(test_each_is_unprotected),
		cmocka_unit_test_setup_teardown(test_guards_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_enters_and_leaves, set_up, tear_down),
		cmocka_unit_test(test_rseq_counts_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
