/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The destination's keeper with its directory and its group. CRIU stands for the program. Included by
 * one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_DEST_KEEPER_KIT_H
#define MIGRATE_TESTS_DEST_KEEPER_KIT_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dest/keeper.h"
#include "dest/kept.h"
#include "tests/in_group.h"
#include "tests/ledger_kit.h"

static char dir[64];
static struct cgroup group;
static struct owned_dir owned = { .base_fd = -1, .fd = -1 };
static int nr_dirs;

static inline int make_dir(void **state)
{
	char path[128];
	struct error err = { 0 };
	int fd;

	snprintf(dir, sizeof(dir), "/tmp/test-keeper-%d-%d", getpid(), nr_dirs++);
	owned_dir_close(&owned);
	if (owned_dir_make(&owned, "/tmp", dir + strlen("/tmp/"), &err))
		return -1;
	snprintf(path, sizeof(path), "%s/images", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/images/core-1.img", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	return 0;
}

static inline bool dir_exists(void)
{
	return !access(dir, F_OK);
}

static inline bool ends(int pidfd)
{
	struct pollfd fds = { .fd = pidfd, .events = POLLIN };

	return poll(&fds, 1, 5000) == 1;
}

static inline bool wait_for_no_dir(void)
{
	for (int i = 0; i < 500 && dir_exists(); i++)
		usleep(10000);
	return !dir_exists();
}

/* CRIU stands for the program here: it is what is in the group. */
static inline pid_t *wait_for_criu(void)
{
	struct error err = { 0 };
	pid_t *pids;
	size_t nr;

	for (int i = 0; i < 500 && !in_group_count(&group); i++)
		usleep(10000);
	assert_int_equal(cgroup_pids(&group, &pids, &nr, &err), 0);
	assert_non_null(pids);
	return pids;
}

static inline int pidfd_of(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

static inline struct keeper *start(void)
{
	struct error err = { 0 };
	struct keeper *keeper;
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-test-%d", getpid());
	cgroup_plan(&group, 0, CGROUP_BELOW, name);
	noted_begin(LEDGER_DEST);
	keeper = keeper_start(&owned, &group, &noted, &err);
	assert_non_null(keeper);
	return keeper;
}

static inline int spawn_for(struct keeper *keeper, pid_t task_pid, int *rpc_fd)
{
	struct error err = { 0 };
	const struct nsinit_plan plan = { .task_pid = task_pid };
	pid_t init;

	if (keeper_spawn(keeper, &plan, rpc_fd, &init, &err)) {
		print_message("%s\n", err.what);
		skip();
	}
	return pidfd_of(init);
}

static inline int spawn(struct keeper *keeper, int *rpc_fd)
{
	return spawn_for(keeper, 5000, rpc_fd);
}

static inline int is_root(void **state)
{
	if (!geteuid())
		return make_dir(state);
	print_message("this needs root\n");
	skip();
	return -1;
}

#endif
