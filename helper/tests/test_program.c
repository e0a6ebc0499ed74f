// SPDX-License-Identifier: GPL-2.0
/*
 * The restored program until COMMIT: nothing of it runs. Programs that count stand for what CRIU
 * restores. Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "dest/kept.h"
#include "dest/program.h"
#include "os/cgroup_members.h"
#include "tests/conn_fd.h"
#include "tests/counting.h"
#include "tests/course_walk.h"

#define NR		3
#define LATER_MS	30000

/**
 * struct kit - a program of three processes, which stand frozen in their group
 * @source: the source's end of @ctl
 */
struct kit {
	struct counting counting[NR];
	struct program program;
	struct control *source, *ctl;
	struct error err;
};

static struct kit *kit;

static struct itimerval *alarm_of(size_t i)
{
	return &kit->program.processes[i]->task.itimers[ITIMER_REAL];
}

/* What the source says of a process that has no attribute which CRIU does not restore. */
static void take(void)
{
	Migrate__ThreadAttributes threads[NR], *thread[NR];
	Migrate__Scheduling scheduling[NR];
	Migrate__Process said[NR], *list[NR];
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;

	go.processes = list;
	for (size_t i = 0; i < NR; i++) {
		struct thread_attributes now;
		pid_t pid = kit->counting[i].pid;

		assert_int_equal(thread_attributes_read(pid, pid, &now, &kit->err), 0);
		migrate__scheduling__init(&scheduling[i]);
		scheduling[i].nice = now.sched.sched_nice;
		migrate__thread_attributes__init(&threads[i]);
		threads[i].tid = pid;
		threads[i].timer_slack_ns = now.timer_slack_ns;
		threads[i].io_priority = now.io_priority;
		threads[i].scheduling = &scheduling[i];
		thread[i] = &threads[i];
		migrate__process__init(&said[i]);
		said[i].pid = pid;
		said[i].threads = &thread[i];
		said[i].n_threads = 1;
		list[go.n_processes++] = &said[i];
	}
	kit->program.root = kit->counting[0].pid;
	assert_int_equal(program_take(&kit->program, &go, 8, &kit->err), 0);
	for (size_t i = 0; i < NR; i++)
		kit->program.processes[i]->task.nr_threads = 1;
}

static void connect_source(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	kit->source = control_new(CONN(fd[0]), COURSE_SOURCE, &kit->err);
	kit->ctl = control_new(CONN(fd[1]), COURSE_DEST, &kit->err);
	assert_non_null(kit->source);
	assert_non_null(kit->ctl);
	assert_int_equal(walk_to(kit->source, kit->ctl, PHASE_RESTORE, &kit->err), 0);
}

/* The processes are in the namespace of this test: its pids are those of the source. */
static int set_up_with(void (*begin)(void))
{
	char name[64];

	kit = calloc(1, sizeof(*kit));
	snprintf(name, sizeof(name), "test-program-%d", getpid());
	program_init(&kit->program, name);
	kit->program.init_pid = getpid();
	assert_int_equal(cgroup_make(&kit->program.group, &kit->err), 0);
	for (size_t i = 0; i < NR; i++) {
		counting_start(&kit->counting[i], i == 1 ? begin : NULL);
		assert_int_equal(cgroup_add(&kit->program.group, kit->counting[i].pid), 0);
	}
	assert_int_equal(cgroup_freeze(&kit->program.group, &kit->err), 0);
	take();
	connect_source();
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(NULL);
}

/* Such a process can make no call for the helper. */
static void drop_vdso(void)
{
	uint64_t start, end;
	char line[512];
	FILE *file = fopen("/proc/self/maps", "re");

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "[vdso]\n") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2)
			munmap((void *)start, end - start);
	if (file)
		fclose(file);
}

static int set_up_no_vdso(void **state)
{
	return set_up_with(drop_vdso);
}

static int tear_down(void **state)
{
	cgroup_kill(&kit->program.group, &(struct error){ 0 });
	for (size_t i = 0; i < NR; i++) {
		if (kit->counting[i].pid)
			kill(kit->counting[i].pid, SIGKILL);
		if (kit->counting[i].pid)
			waitpid(kit->counting[i].pid, NULL, 0);
		munmap((void *)kit->counting[i].count, 4096);
	}
	assert_int_equal(cgroup_remove(&kit->program.group, LATER_MS), 0);
	control_close(kit->source);
	control_close(kit->ctl);
	program_destroy(&kit->program);
	free(kit);
	return 0;
}

static void read_counts(uint64_t *counts)
{
	for (size_t i = 0; i < NR; i++)
		counts[i] = *kit->counting[i].count;
}

static void assert_counts(const uint64_t *before)
{
	for (size_t i = 0; i < NR; i++)
		assert_int_equal(*kit->counting[i].count, before[i]);
}

static int wait_end(size_t i)
{
	int status = 0;

	for (int ms = 0; ms < LATER_MS; ms++, usleep(1000))
		if (waitpid(kit->counting[i].pid, &status, WNOHANG) == kit->counting[i].pid) {
			kit->counting[i].pid = 0;
			return status;
		}
	fail_msg("process %zu does not end", i);
	return 0;
}

/* One process makes a call: neither it nor the others run for that. */
static void test_call_runs_nobody(void **state)
{
	const struct attribute_result *result;
	uint64_t counts[NR];

	alarm_of(1)->it_value.tv_sec = 1;
	read_counts(counts);
	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &kit->err), 0);
	assert_counts(counts);
	assert_int_equal(cgroup_wait_frozen(&kit->program.group, &kit->err), 0);
	for (size_t i = 0; i < NR; i++)
		assert_true(counting_stands(&kit->counting[i]));
	assert_counts(counts);
	result = &kit->program.processes[1]->attributes.results.of[MIGRATE__ATTRIBUTE_KIND__ALARM];
	assert_int_equal(result->set, 1);
	assert_int_equal(program_root_pid(&kit->program), kit->counting[0].pid);
	assert_int_equal(cgroup_thaw(&kit->program.group, &kit->err), 0);
	assert_true(counting_runs(&kit->counting[0]) && counting_runs(&kit->counting[2]));
	assert_int_equal(WTERMSIG(wait_end(1)), SIGALRM);
}

/* The others die with a process that cannot make its call: none is left to run in a thawed group. */
static void test_failed_call_kills(void **state)
{
	uint64_t counts[NR];

	alarm_of(1)->it_value.tv_sec = 60;
	read_counts(counts);
	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &kit->err), -1);
	assert_non_null(strstr(kit->err.what, "has no vdso"));
	/* this test is their parent too, and their tracer has waited for them */
	for (size_t i = 0; i < NR; i++) {
		assert_int_equal(waitpid(kit->counting[i].pid, NULL, 0), -1);
		assert_int_equal(errno, ECHILD);
		kit->counting[i].pid = 0;
	}
	assert_counts(counts);
}

/* A process without a vdso is no hindrance to the calls of the others. */
static void test_call_beside_no_vdso(void **state)
{
	uint64_t counts[NR];

	alarm_of(2)->it_value.tv_sec = 60;
	read_counts(counts);
	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &kit->err), 0);
	assert_counts(counts);
}

/* As for the comparison of memory: in the v1 freezer, threads are held only once it is thawed. */
static void test_hold_runs_nobody(void **state)
{
	struct remote_group all;
	uint64_t counts[NR];

	read_counts(counts);
	assert_int_equal(remote_group_hold(&all, &kit->program.group, false, &kit->err), 0);
	assert_int_equal(all.nr, NR);
	for (size_t i = 0; i < NR; i++)
		assert_true(counting_stands(&kit->counting[i]));
	assert_null(remote_group_find(&all, getpid(), &kit->err));
	memset(&kit->err, 0, sizeof(kit->err));
	assert_int_equal(remote_group_release(&all, &kit->err), 0);
	assert_int_equal(cgroup_wait_frozen(&kit->program.group, &kit->err), 0);
	assert_counts(counts);
	assert_int_equal(cgroup_thaw(&kit->program.group, &kit->err), 0);
	for (size_t i = 0; i < NR; i++)
		assert_true(counting_runs(&kit->counting[i]));
}

/* One is not there any more: before the attributes, before Ready, and as the root. */
static void test_ended_is_missed(void **state)
{
	struct error err = { 0 };

	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &kit->err), 0);
	for (size_t i = 0; i < NR; i++)
		assert_int_equal(kit->program.processes[i]->host_pid, kit->counting[i].pid);
	assert_int_equal(program_check(&kit->program, &kit->err), 0);
	assert_true(program_root_lives(&kit->program));
	kill(kit->counting[2].pid, SIGKILL);
	if (kit->program.group.kind == CGROUP_V2)
		wait_end(2);
	assert_int_equal(program_check(&kit->program, &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
	assert_non_null(strstr(err.what, kit->program.group.kind == CGROUP_V2 ?
			       "has died before it was started" : "would be killed by SIGKILL"));
	/* its memory goes with the root */
	cgroup_kill(&kit->program.group, &(struct error){ 0 });
	wait_end(0);
	assert_false(program_root_lives(&kit->program));
	if (kit->program.group.kind != CGROUP_V2)
		return;
	memset(&err, 0, sizeof(err));
	wait_end(1);
	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &err), -1);
	assert_non_null(strstr(err.what, "is not there"));
}

static bool is_at(pid_t pid, const char *home, const char *below)
{
	char line[PATH_MAX], wanted[2 * PATH_MAX];

	snprintf(wanted, sizeof(wanted), "%s%s", strcmp(home, "/") ? home : "", below);
	return !cgroup_line(pid, kit->program.group.kind, line, sizeof(line)) &&
	       !strcmp(line, *wanted ? wanted : "/");
}

/* Each stands until COMMIT, and is then in a group below that of serve, or in that one where there can be none. */
static void test_groups_below(void **state)
{
	const struct cgroup *group = &kit->program.group;
	struct cgroup outer = { .kind = group->kind };
	char below[64], inner[80];

	snprintf(below, sizeof(below), "/test-program-%d", getpid());
	snprintf(inner, sizeof(inner), "%s/inner", below);
	snprintf(outer.dir, sizeof(outer.dir), "%s%s", group->home, below);
	kit->program.processes[1]->sub_group = strdup(inner);
	kit->program.processes[2]->sub_group = strdup("/cgroup.procs/x");
	assert_int_equal(program_restore_attributes(&kit->program, kit->ctl, &kit->err), 0);
	assert_int_equal(program_check(&kit->program, &kit->err), 0);
	for (size_t i = 0; i < NR; i++)
		assert_true(counting_stands(&kit->counting[i]));
	assert_int_equal(kept_check_alive(group, NR, &kit->err), 0);
	assert_int_equal(cgroup_thaw(group, &kit->err), 0);
	kept_group_leave(group);
	for (size_t i = 0; i < NR; i++) {
		assert_true(counting_runs(&kit->counting[i]));
		assert_true(is_at(kit->counting[i].pid, group->line, i == 1 ? inner : ""));
	}
	assert_false(cgroup_exists(group));
	for (size_t i = 0; i < NR; i++)
		kill(kit->counting[i].pid, SIGKILL);
	assert_int_equal(cgroup_remove(&outer, LATER_MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call_runs_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_call_kills, set_up_no_vdso,
						tear_down),
		cmocka_unit_test_setup_teardown(test_call_beside_no_vdso, set_up_no_vdso,
						tear_down),
		cmocka_unit_test_setup_teardown(test_hold_runs_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ended_is_missed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_groups_below, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
