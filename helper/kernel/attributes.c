// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kernel/attributes.h"

#define IOPRIO_WHO_PROCESS	1

/* Return: a line of the file without its end, or -1 with errno */
static int read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	int ret = -1;

	if (!file)
		return -1;
	errno = EIO;
	if (fgets(line, size, file)) {
		line[strcspn(line, "\n")] = 0;
		ret = 0;
	}
	fclose(file);
	return ret;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

static int read_status(pid_t pid, struct thread_attributes *attributes, struct error *err)
{
	char path[64], line[1024];
	int no_new_privs = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, attributes->tid);
	file = fopen(path, "re");
	if (!file)
		return error_errno(err, CODE_TARGET, NULL, "cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "NSpid:", 6))
			attributes->ns_tid = atoi(strrchr(line, '\t') + 1);
		else if (sscanf(line, "NoNewPrivs: %d", &no_new_privs) == 1)
			attributes->no_new_privs = no_new_privs;
	}
	fclose(file);
	return attributes->ns_tid ? 0 :
	       error_set(err, CODE_TARGET, NULL, "cannot read %s", path);
}

int thread_attributes_read(pid_t pid, pid_t tid, struct thread_attributes *attributes,
			   struct error *err)
{
	char path[64], line[64];

	memset(attributes, 0, sizeof(*attributes));
	attributes->tid = tid;
	if (read_status(pid, attributes, err))
		return -1;
	/* the kernel has this file for processes, and shows any thread as one by its number */
	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", tid);
	if (read_line(path, line, sizeof(line)))
		return error_errno(err, CODE_TARGET, NULL, "cannot read %s", path);
	attributes->timer_slack_ns = strtoull(line, NULL, 10);
	attributes->io_priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
	if (attributes->io_priority < 0)
		return error_errno(err, CODE_TARGET, NULL, "cannot read the I/O priority of thread %d",
				   tid);
	if (syscall(SYS_sched_getaffinity, tid, CPUS_BYTES, attributes->cpus.bits) < 0)
		return error_errno(err, CODE_TARGET, NULL, "cannot read the affinity of thread %d",
				   tid);
	return 0;
}

int process_attributes_read(pid_t pid, struct process_attributes *attributes, struct error *err)
{
	char path[64], line[64];

	memset(attributes, 0, sizeof(*attributes));
	snprintf(path, sizeof(path), "/proc/%d/coredump_filter", pid);
	if (read_line(path, line, sizeof(line)))
		return error_errno(err, CODE_TARGET, NULL, "cannot read %s", path);
	attributes->coredump_filter = strtoul(line, NULL, 16);
	snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
	attributes->has_autogroup =
		!read_line(path, line, sizeof(line)) &&
		sscanf(line, "/autogroup-%*d nice %d", &attributes->autogroup_nice) == 1;
	return 0;
}

int thread_set_timer_slack(pid_t tid, uint64_t ns)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", tid);
	snprintf(text, sizeof(text), "%" PRIu64, ns);
	return write_text(path, text);
}

int thread_set_io_priority(pid_t tid, int io_priority)
{
	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, io_priority);
}

int thread_set_cpus(pid_t tid, const struct cpus *cpus)
{
	return syscall(SYS_sched_setaffinity, tid, CPUS_BYTES, cpus->bits);
}

int process_set_coredump_filter(pid_t pid, unsigned int value)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/coredump_filter", pid);
	snprintf(text, sizeof(text), "%#x", value);
	return write_text(path, text);
}

int process_set_autogroup_nice(pid_t pid, int value)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
	snprintf(text, sizeof(text), "%d", value);
	return write_text(path, text);
}
