/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stand-in for a CRIU that dumps: the test itself, found as `criu` in PATH. The file `act` in the
 * images says how it behaves, and it leaves marks there. Included by one test.
 */
#ifndef MIGRATE_TESTS_CRIU_DUMP_FAKE_H
#define MIGRATE_TESTS_CRIU_DUMP_FAKE_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "os/proc.h"
#include "os/proc_tree.h"
#include "tests/criu_fake.h"

#define CHILD_MS	30000	/* for a child of the program */

/**
 * enum act - @ACT_HOLD: holds the program, and lets go when it is told to; the others go wrong
 * @ACT_FORKS: the program, thawed, has a child when it is held
 * @ACT_KEEPER: the keeper is dead by then
 * @ACT_DIE_HELD: dies at once
 */
enum act { ACT_HOLD, ACT_FAIL, ACT_DIE, ACT_FORKS, ACT_KEEPER, ACT_DIE_HELD };

/* In the directory of images; its helper is the parent. */
static int at_images(int images_fd, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d/%s", getppid(), images_fd, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void fake_mark(int images_fd, const char *name)
{
	close(at_images(images_fd, name, O_WRONLY | O_CREAT));
}

/* As CRIU does when it has stopped all processes by itself. */
static void fake_thaw(const char *group)
{
	static const char *const files[][2] = { { "cgroup.freeze", "0" }, { "freezer.state", "THAWED" } };
	char path[PATH_MAX];

	for (int i = 0; group && i < 2; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", group, files[i][0]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, files[i][1], strlen(files[i][1])) < 0)
			_exit(1);
		close(fd);
	}
}

static enum act fake_act(int images_fd)
{
	int fd = at_images(images_fd, "act", O_RDONLY);
	char act = '0';

	if (read(fd, &act, 1) != 1)
		_exit(1);
	close(fd);
	return act - '0';
}

static bool is_keeper(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = fopen(path, "re");
	if (comm && !fgets(name, sizeof(name), comm))
		*name = 0;
	if (comm)
		fclose(comm);
	return !strcmp(name, "migrate-keeper\n");
}

static void kill_keeper(void)
{
	char path[64];
	FILE *children;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getppid(), getppid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1)
		if (is_keeper(pid))
			kill(pid, SIGKILL);
	if (children)
		fclose(children);
}

static void wait_for_child(pid_t pid)
{
	struct error err = { 0 };
	pid_t *pids;
	size_t nr = 0;

	kill(pid, SIGUSR1);
	for (int ms = 0; ms < CHILD_MS && nr < 2; ms++) {
		proc_tree(pid, &pids, &nr, &err);
		free(pids);
		usleep(1000);
	}
}

/* What is said next comes from a child, and this process is dead by then. */
static void die_first(void)
{
	pid_t parent = getpid();

	if (fork())
		raise(SIGKILL);
	while (getppid() == parent)
		usleep(1000);
}

/* CRIU could not take its own code out of the program then. */
static bool is_guarded(pid_t pid)
{
	char path[64], group[32], text[4096] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	snprintf(group, sizeof(group), "test-%d", pid);
	file = fopen(path, "re");
	if (!file || !fread(text, 1, sizeof(text) - 1, file))
		_exit(1);
	fclose(file);
	return strstr(text, group);
}

static void fake_result(int fd)
{
	CriuResp resp = CRIU_RESP__INIT;

	resp.type = CRIU_REQ_TYPE__DUMP;
	resp.success = false;
	criu_fake_send(fd, &resp);
}

static void fake_notify(int fd, const char *script)
{
	CriuNotify notify = CRIU_NOTIFY__INIT;
	CriuResp resp = CRIU_RESP__INIT;

	notify.script = (char *)script;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &notify;
	criu_fake_send(fd, &resp);
}

static void fake_dump(int fd, const CriuOpts *opts)
{
	enum act act = fake_act(opts->images_dir_fd);
	pid_t helper = getppid();
	CriuReq *req;

	fake_notify(fd, "pre-dump");
	if (!criu_fake_recv(fd))
		_exit(1);
	fake_mark(opts->images_dir_fd, "asked");
	if (act == ACT_DIE)
		raise(SIGKILL);
	if (act == ACT_FAIL) {
		fake_result(fd);
		return;
	}
	if (act == ACT_FORKS) {
		fake_thaw(opts->freeze_cgroup);
		wait_for_child(opts->pid);
	}
	if (act == ACT_KEEPER)
		kill_keeper();
	if (act == ACT_DIE_HELD) {
		die_first();
		/* the helper must not look between the message and the end */
		kill(helper, SIGSTOP);
	}
	fake_notify(fd, "status-ready");
	if (act == ACT_DIE_HELD) {
		close(fd);
		kill(helper, SIGCONT);
		_exit(0);
	}
	req = criu_fake_recv(fd);
	if (req && !req->notify_success && !is_guarded(opts->pid))
		fake_mark(opts->images_dir_fd, "let-go");
	fake_result(fd);
}

static int fake_criu(int fd)
{
	CriuVersion version = CRIU_VERSION__INIT;
	CriuResp resp = CRIU_RESP__INIT;
	CriuReq *req = criu_fake_recv(fd);

	if (!req)
		return 1;
	if (req->type == CRIU_REQ_TYPE__DUMP) {
		fake_dump(fd, req->opts);
		return 0;
	}
	version.major_number = 4;
	version.minor_number = 1;
	resp.type = CRIU_REQ_TYPE__VERSION;
	resp.success = true;
	resp.version = &version;
	criu_fake_send(fd, &resp);
	return fake_criu(fd);
}

#endif
