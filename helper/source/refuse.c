// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "source/outgoing.h"
#include "ui/report.h"

/**
 * struct refusals - what speaks against moving a program
 * @first: the only one becomes the error; of several each is said
 * @nr: how many
 */
struct refusals {
	struct error first;
	size_t nr;
};

static void refuse(struct refusals *refusals, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refusal_say(const char *text, const char *hint)
{
	report_say("refused: %s%s%s", text, *hint ? ": " : "", hint);
}

static void refuse(struct refusals *refusals, const char *hint, const char *fmt, ...)
{
	struct error *first = &refusals->first;
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(first, CODE_REFUSED, hint, "%s", text);
	report_event("refused", json_pack("{s:s,s:s}", "reason", text, "hint", hint ?: ""));
	if (++refusals->nr == 2)
		refusal_say(first->what, first->hint);
	if (refusals->nr > 1)
		refusal_say(text, hint ?: "");
}

/* Return: 0, or -1 with @err set */
static int refusals_end(const struct refusals *refusals, pid_t pid, struct error *err)
{
	if (refusals->nr > 1)
		return error_set(err, CODE_REFUSED, NULL,
				 "process %d cannot be moved, for the %zu reasons above", pid,
				 refusals->nr);
	if (refusals->nr)
		*err = refusals->first;
	return refusals->nr ? -1 : 0;
}

static void refuse_task(const struct outgoing *out, struct refusals *refusals)
{
	const struct proc_status *target = &out->target;
	pid_t pid = out->opts->pid;

	if (target->kernel) {
		refuse(refusals, NULL, "process %d is a kernel thread", pid);
		return;
	}
	if (target->state == 'Z' || target->state == 'X')
		refuse(refusals, NULL, "process %d has exited and waits for its parent", pid);
	else if (!proc_is_64bit(pid, &refusals->first))
		refuse(refusals, NULL, "process %d is no 64-bit program", pid);
	if (target->tracer)
		refuse(refusals, "end the debugger", "process %d is traced by process %d", pid,
		       target->tracer);
	if (target->tty)
		refuse(refusals, "start it with setsid and </dev/null >file 2>&1",
		       "process %d has a controlling terminal", pid);
	else if (target->session != pid)
		refuse(refusals, "start it with setsid", "process %d is no session leader", pid);
}

static void refuse_tree(const struct outgoing *out, struct refusals *refusals)
{
	static const struct {
		const char *name, *text;
	} spaces[] = {
		{ "pid", "PID" }, { "mnt", "mount" }, { "net", "network" }, { "user", "user" },
		{ "ipc", "IPC" }, { "uts", "UTS" },
	};
	pid_t pid = out->opts->pid, child;
	struct error ignored = { 0 };
	size_t nr;

	if (!proc_children(pid, &nr, &child, &ignored) && nr)
		refuse(refusals, "trees of processes are not carried yet",
		       "process %d has %zu children, as %d", pid, nr, child);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++)
		if (proc_ns(pid, spaces[i].name) != proc_ns(0, spaces[i].name))
			refuse(refusals, "run migrate-helper in the same namespace (nsenter)",
			       "process %d is in another %s namespace", pid, spaces[i].text);
}

static void refuse_memory(const struct outgoing *out, struct refusals *refusals)
{
	uint64_t shared = 0;

	for (size_t i = 0; i < out->vmas.nr; i++) {
		const struct vma *vma = &out->vmas.vmas[i];

		if (vma->hugetlb)
			refuse(refusals, "run it without huge pages of its own",
			       "mapping 0x%" PRIx64 " is of hugetlb pages", vma->start);
		else if (vma->uffd)
			refuse(refusals, NULL, "mapping 0x%" PRIx64 " is under a userfaultfd",
			       vma->start);
		else if (!strncmp(vma->name, "/[aio]", 6))
			refuse(refusals, NULL, "it uses asynchronous I/O (io_setup)");
		else if (!strncmp(vma->name, "/SYSV", 5))
			refuse(refusals, NULL, "it uses System V shared memory");
		else if (vma->io && !vma->special)
			refuse(refusals, NULL, "mapping 0x%" PRIx64 " is of a device (%s)",
			       vma->start, vma->name);
		else if (vma->shared && (vma->anon || !strncmp(vma->name, "/dev/zero", 9) ||
					 !strncmp(vma->name, "/memfd:", 7)))
			shared += vma->end - vma->start;
	}
	if (shared)
		report_say("%" PRIu64 " KiB of shared memory are carried while the program stands",
			   shared >> 10);
}

/* Is the socket @inode an established TCP connection? */
static bool tcp_is_established(pid_t pid, const char *table, unsigned long inode)
{
	char path[32], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		unsigned int state;
		unsigned long that;

		found = sscanf(line, " %*d: %*s %*s %x %*s %*s %*s %*s %*s %lu", &state, &that) == 2 &&
			state == 1 && that == inode;
	}
	if (file)
		fclose(file);
	return found;
}

static void refuse_file(pid_t pid, const char *link, size_t *connections,
			struct refusals *refusals)
{
	unsigned long inode;

	if (!strcmp(link, "anon_inode:[userfaultfd]"))
		refuse(refusals, NULL, "it has a userfaultfd open");
	else if (!strcmp(link, "anon_inode:[io_uring]"))
		refuse(refusals, NULL, "it has an io_uring open");
	else if (sscanf(link, "socket:[%lu]", &inode) == 1 &&
		 (tcp_is_established(pid, "tcp", inode) || tcp_is_established(pid, "tcp6", inode)))
		++*connections;
}

static void refuse_files(const struct outgoing *out, struct refusals *refusals)
{
	char path[32], link[256];
	struct dirent *entry;
	size_t connections = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", out->opts->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (n > 0) {
			link[n] = 0;
			refuse_file(out->opts->pid, link, &connections, refusals);
		}
	}
	if (dir)
		closedir(dir);
	if (connections)
		report_say("%zu open TCP connections of the program will be closed", connections);
}

int outgoing_refuse(struct outgoing *out, struct error *err)
{
	struct refusals refusals = { 0 };
	pid_t pid = out->opts->pid;

	refuse_task(out, &refusals);
	if (refusals.nr)
		return refusals_end(&refusals, pid, err);
	if (maps_read(pid, true, &out->vmas, err))
		return -1;
	refuse_tree(out, &refusals);
	refuse_memory(out, &refusals);
	refuse_files(out, &refusals);
	return refusals_end(&refusals, pid, err);
}
