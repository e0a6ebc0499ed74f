// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/supervisor.h"

#define ASK_TIMEOUT_MS	3000

/* Each runs in the directory of its service. */
static const struct {
	const char *comm, *name, *command;
} supervisors[] = {
	{ "runsv", "runit", "sv once" },
	{ "s6-supervise", "s6", "s6-svc -O" },
	{ "supervise", "daemontools", "svc -o" },
};

static void read_text(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
}

bool supervisor_read(pid_t pid, pid_t parent, struct parent_facts *facts)
{
	char path[32];
	ssize_t n;

	memset(facts, 0, sizeof(*facts));
	facts->pid = parent;
	/* 0: the parent is outside of this PID namespace */
	if (parent <= 0)
		return false;
	proc_comm(parent, facts->comm);
	snprintf(path, sizeof(path), "/proc/%d/cwd", parent);
	n = readlink(path, facts->dir, sizeof(facts->dir) - 1);
	facts->dir[n > 0 ? n : 0] = 0;
	read_text(pid, "cgroup", facts->cgroups, sizeof(facts->cgroups));
	return true;
}

static bool ends_with(const char *text, size_t bytes, const char *end)
{
	return bytes > strlen(end) && !memcmp(text + bytes - strlen(end), end, strlen(end));
}

/* The innermost service of a path; one with Delegate= has control groups of its own in it. */
static void take_unit(const char *path, size_t bytes, struct supervisor *found)
{
	static const char service[] = ".service";

	for (const char *at = path, *end = path + bytes; at < end;) {
		size_t part = strcspn(at, "/\n");

		if (ends_with(at, part, service) && part < UNIT_BYTES) {
			found->user |= found->unit[0] && !strncmp(found->unit, "user@", 5);
			snprintf(found->unit, UNIT_BYTES, "%.*s", (int)part, at);
		}
		at += part + 1;
	}
	/* a user's systemd itself is no service that a user's program is of */
	if (!strncmp(found->unit, "user@", 5))
		found->unit[0] = 0;
}

/* "0::/system.slice/x.service", or with cgroup v1 "1:name=systemd:/system.slice/x.service" */
static void find_unit(const char *cgroups, struct supervisor *found)
{
	while (*cgroups) {
		size_t bytes = strcspn(cgroups, "\n");
		const char *path = memchr(cgroups, '/', bytes);

		if (path && (!strncmp(cgroups, "0::", 3) ||
			     memmem(cgroups, path - cgroups, ":name=systemd:", 14)))
			take_unit(path, cgroups + bytes - path, found);
		if (found->unit[0])
			return;
		cgroups += bytes + (cgroups[bytes] == '\n');
	}
}

static bool match_systemd(const struct parent_facts *facts, struct supervisor *found)
{
	/* who is pid 1 in a container may have any name */
	if (strcmp(facts->comm, "systemd"))
		return false;
	find_unit(facts->cgroups, found);
	found->name = "systemd";
	snprintf(found->advice, sizeof(found->advice),
		 "systemctl%s edit --runtime %s, with [Service] and Restart=no",
		 found->user ? " --user" : "", found->unit);
	return found->unit[0];
}

bool supervisor_match(const struct parent_facts *facts, struct supervisor *found)
{
	memset(found, 0, sizeof(*found));
	found->when = "before the move";
	for (size_t i = 0; i < sizeof(supervisors) / sizeof(*supervisors); i++) {
		if (strcmp(facts->comm, supervisors[i].comm))
			continue;
		found->name = supervisors[i].name;
		snprintf(found->advice, sizeof(found->advice), "%s %s", supervisors[i].command,
			 facts->dir[0] ? facts->dir : "SERVICE");
		return true;
	}
	if (!strcmp(facts->comm, "supervisord")) {
		found->name = "supervisord";
		found->when = "at once after the move";
		snprintf(found->advice, sizeof(found->advice), "supervisorctl stop NAME");
		return true;
	}
	/* the kernel keeps 15 bytes of the name containerd-shim-runc-v2 */
	if (!strcmp(facts->comm, "containerd-shim")) {
		found->name = "containerd";
		snprintf(found->advice, sizeof(found->advice), "docker update --restart=no CONTAINER");
		return true;
	}
	return match_systemd(facts, found);
}

bool supervisor_restarts(const char *restart)
{
	return strcmp(restart, "no") && strcmp(restart, "on-success") &&
	       strcmp(restart, "on-watchdog");
}

/* Return: descriptor of what systemctl says, or -1 */
static int ask_begin(const struct supervisor *supervisor, pid_t *pid)
{
	char *argv[] = { "systemctl", "show", "--property=Restart", "--", (char *)supervisor->unit,
			 NULL };
	posix_spawn_file_actions_t actions;
	int out[2], ret;

	if (pipe2(out, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	ret = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	if (!ret)
		return out[0];
	close(out[0]);
	return -1;
}

bool supervisor_ask(const struct supervisor *supervisor, char *restart, size_t size)
{
	char format[32], line[128];
	struct pollfd out;
	ssize_t n = -1;
	pid_t pid;

	/* a user's systemd answers its user alone */
	if (supervisor->user)
		return false;
	out = (struct pollfd){ .fd = ask_begin(supervisor, &pid), .events = POLLIN };
	if (out.fd < 0)
		return false;
	/* one short line: one read */
	if (poll(&out, 1, ASK_TIMEOUT_MS) > 0)
		n = read(out.fd, line, sizeof(line) - 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(out.fd);
	line[n > 0 ? n : 0] = 0;
	snprintf(format, sizeof(format), "Restart=%%%zus", size - 1);
	return sscanf(line, format, restart) == 1;
}
