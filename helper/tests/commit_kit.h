/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A destination at Ready. The program is a stand-in for CRIU: the test itself, found as `criu` in PATH,
 * which the keeper starts in the group. Needs root. Included by one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_COMMIT_KIT_H
#define MIGRATE_TESTS_COMMIT_KIT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "dest/commit.h"
#include "dest/parent.h"
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
	struct ledger ledger;
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

static inline void nothing(void *ctx)
{
}

static atomic_uint nr_lost;

static inline void on_lost(void *ctx)
{
	atomic_fetch_add(&nr_lost, 1);
}

static inline void on_stop(void *ctx)
{
	atomic_fetch_add(&kit->stopped, 1);
}

static inline void populate_failed(void *ctx, const struct error *err)
{
}

/* Stands for the program: waits until its socket hangs up, or until it is killed. */
static inline int fake_criu(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
	return 0;
}

static inline void start_keeper(void)
{
	char name[64];

	snprintf(name, sizeof(name), "test-commit-%d", getpid());
	assert_int_equal(owned_dir_make(&kit->dir, "/tmp", name, &kit->err), 0);
	program_init(&kit->program, name);
	cgroup_plan(&kit->program.group, 0, CGROUP_BELOW, name);
	kit->commit.shm = &kit->shm;
	kit->commit.ledger = &kit->ledger;
	kit->commit.keeper = keeper_start(&kit->dir, &kit->program.group, &(struct ledger){ 0 }, &kit->err);
	assert_non_null(kit->commit.keeper);
}

/* The init, and in the group the program, which stands. */
static inline void start_tasks(void)
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
static inline void add_mm(uint64_t lacking)
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

static inline void connect_source(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	kit->source = control_new(CONN(fd[0]), COURSE_SOURCE, &kit->err);
	assert_int_equal(peer_open(&kit->peer, CONN(fd[1]), &kit->err), 0);
	assert_int_equal(walk_to(kit->source, kit->peer.ctl, PHASE_READY, &kit->err), 0);
	assert_int_equal(peer_start(&kit->peer, &kit->err), 0);
}

static inline int set_up(uint64_t lacking)
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

static inline int set_up_whole(void **state)
{
	return set_up(0);
}

static inline int set_up_lacking(void **state)
{
	return set_up(7);
}

static inline void kill_init(void)
{
	syscall(SYS_pidfd_send_signal, kit->program.init_fd, SIGKILL, NULL, 0);
}

static inline int tear_down(void **state)
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

static inline void *commit_body(void *arg)
{
	kit->ret = commit_run(&kit->commit, &kit->undo, &kit->err);
	return NULL;
}

static inline void run(void)
{
	assert_int_equal(pthread_create(&kit->thread, NULL, commit_body, NULL), 0);
}

static inline int join(void)
{
	pthread_join(kit->thread, NULL);
	return kit->ret;
}

static inline bool stands(void)
{
	return cgroup_is_told_to_freeze(&kit->program.group);
}

static inline void say(Migrate__Control__BodyCase body)
{
	struct error err = { 0 };

	assert_int_equal(walk_send(kit->source, body, &err), 0);
}

static inline void say_killed(void)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Killed killed = MIGRATE__KILLED__INIT;
	struct error err = { 0 };

	msg.body_case = MIGRATE__CONTROL__BODY_KILLED;
	msg.killed = &killed;
	assert_int_equal(control_send(kit->source, &msg, &err), 0);
}

/* The signal of Died, or 0. */
static inline unsigned int hear(Migrate__Control__BodyCase body)
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
static inline bool was_told(struct parent_msg *msg)
{
	int fds[FDPASS_MAX];

	return fdpass_recv(kit->parent, msg, sizeof(*msg), fds, 0) == 1;
}

static inline int have_criu(void **state)
{
	if (geteuid()) {
		print_message("this needs root\n");
		return -1;
	}
	criu_fake_install(&bin);
	return 0;
}

static inline int drop_criu(void **state)
{
	dir_remove(&bin);
	return 0;
}

#endif
