// SPDX-License-Identifier: GPL-2.0
/*
 * From Ready on: what starts the program, and what does not. The program is a stand-in for CRIU: this
 * program itself, found as `criu` in PATH, which the keeper starts in the group. Needs root.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/commit.h"
#include "dest/lost_pages.h"
#include "dest/parent.h"
#include "os/cgroup_members.h"
#include "os/proc.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/criu_fake.h"
#include "tests/in_group.h"
#include "tests/mm_hooks.h"

#define TEST_PID	5000
#define LATER_MS	60000
#define BASE		0x7f0000000000UL

/**
 * struct kit - a destination that stands at Ready
 * @source: the source's end of control; @parent: that of the accepting process
 * @undo, @ret: of commit_run(), which @thread runs
 * @stopped: how often the hook was called
 */
struct kit {
	struct peer peer;
	struct objects objects;
	struct program program;
	struct populate populate;
	struct owned_dir dir;
	struct commit commit;
	struct shm shm;
	struct control *source;
	int parent, rpc_fd, ret;
	atomic_int stopped;
	bool undo;
	pthread_t thread;
	struct error err;
};

static struct kit *kit;
static struct test_dir bin;

static void nothing(void *ctx)
{
}

static atomic_uint nr_lost;

static void on_lost(void *ctx)
{
	atomic_fetch_add(&nr_lost, 1);
}

static void on_stop(void *ctx)
{
	atomic_fetch_add(&kit->stopped, 1);
}

static void populate_failed(void *ctx, const struct error *err)
{
}

/* Stands for the program: waits until its socket hangs up, or until it is killed. */
static int fake_criu(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
	return 0;
}

static void start_keeper(void)
{
	char name[64];

	snprintf(name, sizeof(name), "test-commit-%d", getpid());
	assert_int_equal(owned_dir_make(&kit->dir, "/tmp", name, &kit->err), 0);
	program_init(&kit->program, name);
	cgroup_plan(&kit->program.group, 0, CGROUP_BELOW, name);
	kit->commit.shm = &kit->shm;
	kit->commit.keeper = keeper_start(&kit->dir, &kit->program.group, &kit->err);
	assert_non_null(kit->commit.keeper);
}

/* The init, and in the group the program, which stands. */
static void start_tasks(void)
{
	struct program *program = &kit->program;

	program->root = TEST_PID;
	assert_int_equal(keeper_spawn(kit->commit.keeper, &(struct nsinit_plan){ .task_pid = TEST_PID }, &kit->rpc_fd,
				      &program->init_pid, &kit->err), 0);
	program->init_fd = proc_pidfd(program->init_pid, &kit->err);
	for (int ms = 0; ms < LATER_MS && !in_group_count(&program->group); ms++)
		usleep(1000);
	assert_int_equal(cgroup_freeze(&program->group, &kit->err), 0);
}

/* One address space, of which @lacking pages are still at the source. */
static void add_mm(uint64_t lacking)
{
	const struct mirror_range range = { BASE, BASE + 16 * PAGE_BYTES };
	const struct splice_vm_run run = { .addr = BASE, .nr_pages = lacking };
	struct mm *mm = objects_add_mm(&kit->objects, 1, TEST_PID, &kit->err);
	struct page_set lazy;
	uint64_t have, lack;

	assert_non_null(mm);
	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, BASE, 16, &kit->err), 0);
	assert_int_equal(mm_announce(mm, &range, 1, &kit->err), 0);
	if (lacking)
		assert_int_equal(mm_populate(mm, &run, 1, &kit->err), 0);
	objects_final(&kit->objects, &have, &lack);
	assert_int_equal(mm_seal(mm, &lazy, &kit->err), 0);
	assert_int_equal(objects_wanted(&kit->objects), lacking);
	page_set_destroy(&lazy);
}

static void connect_source(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	kit->source = control_new(CONN(fd[0]), COURSE_SOURCE, &kit->err);
	assert_int_equal(peer_open(&kit->peer, CONN(fd[1]), &kit->err), 0);
	assert_int_equal(walk_to(kit->source, kit->peer.ctl, PHASE_READY, &kit->err), 0);
	assert_int_equal(peer_start(&kit->peer, &kit->err), 0);
}

static int set_up(uint64_t lacking)
{
	const struct peer_hooks hooks = { .cancel = nothing, .failed = nothing };
	int pair[2];

	kit = calloc(1, sizeof(*kit));
	kit->dir.base_fd = kit->dir.fd = -1;
	kit->undo = true;
	peer_init(&kit->peer, &hooks);
	start_keeper();
	start_tasks();
	objects_init(&kit->objects, &no_mm_hooks, NULL, NULL);
	populate_init(&kit->populate, &kit->objects,
		      &(struct populate_hooks){ .failed = populate_failed });
	add_mm(lacking);
	connect_source();
	assert_int_equal(fdpass_pair(pair), 0);
	kit->parent = pair[0];
	kit->commit.peer = &kit->peer;
	kit->commit.objects = &kit->objects;
	kit->commit.program = &kit->program;
	kit->commit.populate = &kit->populate;
	kit->commit.dir = &kit->dir;
	kit->commit.parent_sock = pair[1];
	kit->commit.max_frozen_s = 60;
	kit->commit.link_lost = on_lost;
	kit->commit.stop = on_stop;
	return 0;
}

static int set_up_whole(void **state)
{
	return set_up(0);
}

static int set_up_lacking(void **state)
{
	return set_up(7);
}

static void kill_init(void)
{
	syscall(SYS_pidfd_send_signal, kit->program.init_fd, SIGKILL, NULL, 0);
}

static int tear_down(void **state)
{
	if (kit->source)
		control_close(kit->source);
	control_shutdown(kit->peer.ctl);
	pthread_join(kit->peer.thread, NULL);
	control_close(kit->peer.ctl);
	populate_stop(&kit->populate);
	populate_destroy(&kit->populate);
	objects_destroy(&kit->objects);
	lost_free(&kit->commit.lost);
	close(kit->rpc_fd);
	/* when it was started: it outlives the keeper */
	kill_init();
	keeper_undo(kit->commit.keeper, kit->program.init_fd);
	keeper_free(kit->commit.keeper);
	owned_dir_close(&kit->dir);
	program_destroy(&kit->program);
	mailbox_destroy(&kit->peer.box);
	close(kit->parent);
	close(kit->commit.parent_sock);
	free(kit);
	return 0;
}

static void *commit_body(void *arg)
{
	kit->ret = commit_run(&kit->commit, &kit->undo, &kit->err);
	return NULL;
}

static void run(void)
{
	assert_int_equal(pthread_create(&kit->thread, NULL, commit_body, NULL), 0);
}

static int join(void)
{
	pthread_join(kit->thread, NULL);
	return kit->ret;
}

static bool stands(void)
{
	return cgroup_is_told_to_freeze(&kit->program.group);
}

static void say(Migrate__Control__BodyCase body)
{
	struct error err = { 0 };

	assert_int_equal(walk_send(kit->source, body, &err), 0);
}

static void say_killed(void)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Killed killed = MIGRATE__KILLED__INIT;
	struct error err = { 0 };

	msg.body_case = MIGRATE__CONTROL__BODY_KILLED;
	msg.killed = &killed;
	assert_int_equal(control_send(kit->source, &msg, &err), 0);
}

/* The signal of Died, or 0. */
static unsigned int hear(Migrate__Control__BodyCase body)
{
	struct error err = { 0 };
	Migrate__Control *msg = control_expect(kit->source, body, LATER_MS, &err);
	unsigned int signal = 0;

	if (!msg)
		fail_msg("%s", err.what);
	if (body == MIGRATE__CONTROL__BODY_DIED)
		signal = msg->died->signal;
	migrate__control__free_unpacked(msg, NULL);
	return signal;
}

/* What the accepting process has been told by now. */
static bool was_told(struct parent_msg *msg)
{
	int fds[FDPASS_MAX];

	return fdpass_recv(kit->parent, msg, sizeof(*msg), fds, 0) == 1;
}

/* Nothing of the program has run: it stands, the source was told nothing, and all can be undone. */
static void expect_unstarted(enum exit_code code)
{
	struct parent_msg msg;

	assert_int_equal(join(), -1);
	assert_int_equal(kit->err.code, code);
	assert_true(kit->undo);
	assert_false(was_told(&msg));
	assert_int_equal(atomic_load(&kit->stopped), 0);
}

/* Whoever hears Started may rely on it: the program runs, and the accepting process knows. */
static void started_is_said_last(void **state)
{
	struct parent_msg msg;

	run();
	assert_true(stands());
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	assert_false(stands());
	assert_true(was_told(&msg));
	assert_false(msg.ended);
	hear(MIGRATE__CONTROL__BODY_DONE);
	assert_true(mailbox_is_committed(&kit->peer.box));
	say_killed();
	assert_int_equal(join(), CODE_OK);
	assert_false(kit->undo);
	assert_int_equal(atomic_load(&kit->stopped), 1);
	assert_false(program_has_ended(&kit->program, 0));
}

/* The stand-in for CRIU is a process that lives on without the root, and may do so for years. */
static void others_outlive_the_root(void **state)
{
	struct mm *mm = objects_mm_of(&kit->objects, TEST_PID);
	int64_t begin_ms;

	mm->spaces.list[0]->gone = true;
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	begin_ms = clock_now_ms();
	hear(MIGRATE__CONTROL__BODY_DONE);
	/* so long an init that does not end is waited for */
	assert_true(clock_now_ms() < begin_ms + 30000);
	say_killed();
	assert_int_equal(join(), CODE_OK);
	assert_false(program_has_ended(&kit->program, 0));
}

static void without_commit_nothing_starts(void **state)
{
	run();
	control_close(kit->source);
	kit->source = NULL;
	expect_unstarted(CODE_NETWORK);
	assert_true(stands());
}

static void what_cannot_run_is_not_started(void **state)
{
	const struct error dead = { .code = CODE_TARGET, .what = "this is a test" };

	peer_fail(&kit->peer, &dead);
	say(MIGRATE__CONTROL__BODY_COMMIT);
	mailbox_wait_message(&kit->peer.box, true, LATER_MS);
	run();
	expect_unstarted(CODE_TARGET);
	assert_true(stands());
}

/* It was given up at the source: a COMMIT that came counts, whatever became of the link. */
static void a_commit_before_a_lost_link_counts(void **state)
{
	say(MIGRATE__CONTROL__BODY_COMMIT);
	control_close(kit->source);
	kit->source = NULL;
	mailbox_wait_failure(&kit->peer.box, LATER_MS);
	run();
	/* all pages are here: what is not known is whether the source has killed its own */
	assert_int_equal(join(), CODE_DOUBT);
	assert_false(kit->undo);
	assert_false(stands());
	assert_false(program_has_ended(&kit->program, 0));
}

static void dead_tasks_are_not_started(void **state)
{
	pid_t *pids;
	size_t nr;

	assert_int_equal(cgroup_pids(&kit->program.group, &pids, &nr, &kit->err), 0);
	assert_int_equal(nr, 1);
	kill(pids[0], SIGKILL);
	free(pids);
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	expect_unstarted(CODE_TARGET);
}

/* The source's copy is older, but whole: it is not to be killed. */
static void a_death_before_all_came_is_told(void **state)
{
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	kill_init();
	assert_int_equal(hear(MIGRATE__CONTROL__BODY_DIED), SIGKILL);
	assert_int_equal(join(), CODE_TARGET);
	assert_false(kit->undo);
}

/* The stand-in for CRIU as a process of the program. Return: its pid in the namespace */
static pid_t adopt(void)
{
	struct process *process = calloc(1, sizeof(*process));
	struct proc_status status;
	pid_t *pids = NULL;
	size_t nr;

	assert_int_equal(cgroup_pids(&kit->program.group, &pids, &nr, &kit->err), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(proc_status_read(pids[0], &status, &kit->err), 0);
	process->pid = status.ns_pid;
	process->host_pid = pids[0];
	kit->program.pid_ns = proc_ns(pids[0], "pid");
	kit->program.processes = malloc(sizeof(process));
	kit->program.processes[0] = process;
	kit->program.nr = 1;
	free(pids);
	return process->pid;
}

/* Killed at the source before all had come: it is killed here too, and both ends say so. */
static void what_was_lost_is_killed_and_named(void **state)
{
	struct mm *mm = objects_mm_of(&kit->objects, TEST_PID);
	struct error err = { 0 };
	Migrate__Control *msg;
	uint64_t lost;

	mm->pid = adopt();
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	assert_int_equal(lost_pages_end(mm, false, &lost, &err), 0);
	assert_int_equal(lost, 7);
	msg = control_expect(kit->source, MIGRATE__CONTROL__BODY_DONE, LATER_MS, &err);
	assert_non_null(msg);
	assert_int_equal(msg->done->n_lost, 1);
	assert_int_equal(msg->done->lost[0]->pid, mm->pid);
	assert_int_equal(msg->done->lost[0]->pages, 7);
	assert_true(msg->done->lost[0]->killed);
	migrate__control__free_unpacked(msg, NULL);
	say_killed();
	assert_int_equal(join(), CODE_LOST);
	assert_true(program_has_ended(&kit->program, LATER_MS));
	assert_non_null(strstr(kit->err.what, "7 pages"));
	mm->pid = TEST_PID;
}

/* The program is served for as long as it lives, and the accepting process does not wait for that. */
static void a_lost_source_ends_nothing(void **state)
{
	int out = dup(1), err = dup(2);
	struct parent_msg msg;

	atomic_store(&nr_lost, 0);
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	control_close(kit->source);
	kit->source = NULL;
	for (int ms = 0; ms < LATER_MS && !(was_told(&msg) && msg.ended); ms++)
		usleep(1000);
	assert_true(msg.ended);
	assert_int_equal(msg.code, CODE_DOUBT);
	assert_false(program_has_ended(&kit->program, 0));
	assert_int_equal(atomic_load(&kit->stopped), 0);
	assert_int_equal(atomic_load(&nr_lost), 1);
	kill_init();
	assert_int_equal(join(), CODE_DOUBT);
	assert_int_equal(atomic_load(&kit->stopped), 1);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
}

static int have_criu(void **state)
{
	if (geteuid()) {
		print_message("this needs root\n");
		return -1;
	}
	criu_fake_install(&bin);
	return 0;
}

static int drop_criu(void **state)
{
	dir_remove(&bin);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(started_is_said_last, set_up_whole, tear_down),
		cmocka_unit_test_setup_teardown(others_outlive_the_root, set_up_whole, tear_down),
		cmocka_unit_test_setup_teardown(without_commit_nothing_starts, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_run_is_not_started, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(a_commit_before_a_lost_link_counts, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(dead_tasks_are_not_started, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(a_death_before_all_came_is_told, set_up_lacking,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_lost_is_killed_and_named, set_up_lacking,
						tear_down),
		cmocka_unit_test_setup_teardown(a_lost_source_ends_nothing, set_up_lacking,
						tear_down),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, have_criu, drop_criu);
}
