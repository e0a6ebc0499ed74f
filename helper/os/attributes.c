// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/io.h"
#include "os/attributes.h"
#include "os/ns_pids.h"
#include "os/proc.h"

#define IOPRIO_WHO_PROCESS	1
#define UTIL_MAX		1024
#define FLAG_UTIL_CLAMP		0x60

/* Flags in /proc/PID/stat: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE */
#define IO_FLUSHER		0x00180000U

/* Return: the first line of /proc/PID/@name without its end, or -1 with errno */
static int read_line(pid_t pid, const char *name, char *line, size_t size)
{
	char *text = proc_text(pid, name);

	if (!text)
		return -1;
	snprintf(line, size, "%.*s", (int)strcspn(text, "\n"), text);
	errno = EIO;
	free(text);
	return *line ? 0 : -1;
}

/* The kernel's texts for the state of a mitigation that a thread can ask for. */
static unsigned int parse_mitigation(const char *text)
{
	static const struct {
		const char *text;
		unsigned int value;
	} states[] = {
		{ "thread force mitigated", PR_SPEC_FORCE_DISABLE },
		{ "conditional force disabled", PR_SPEC_FORCE_DISABLE },
		{ "thread mitigated", PR_SPEC_DISABLE },
		{ "conditional disabled", PR_SPEC_DISABLE },
		{ "globally mitigated", MITIGATION_NEEDLESS },
		{ "always disabled", MITIGATION_NEEDLESS },
		{ "not vulnerable", MITIGATION_NEEDLESS },
		{ "not affected", MITIGATION_NEEDLESS },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (!strncmp(text, states[i].text, strlen(states[i].text)))
			return states[i].value;
	return 0;
}

/* Return: what comes behind @key and blanks, or NULL when the line is another one */
static const char *value_of(const char *line, const char *key)
{
	size_t len = strlen(key);

	return strncmp(line, key, len) ? NULL : line + len + strspn(line + len, " \t");
}

void thread_attributes_parse(const char *line, struct thread_attributes *attributes)
{
	struct ns_pids tids;
	const char *value;

	if (ns_pids_parse(line, "NSpid:", &tids))
		attributes->ns_tid = tids.inner;
	value = value_of(line, "NoNewPrivs:");
	if (value)
		attributes->no_new_privs = atoi(value);
	value = value_of(line, "Speculation_Store_Bypass:");
	if (value)
		attributes->store_bypass = parse_mitigation(value);
	value = value_of(line, "SpeculationIndirectBranch:");
	if (value)
		attributes->indirect_branch = parse_mitigation(value);
	value = value_of(line, "CapAmb:");
	if (value)
		attributes->ambient = strtoull(value, NULL, 16);
}

/* The flags follow the last bracket: a thread's name may have blanks and brackets itself. */
static int read_flags(pid_t pid, struct thread_attributes *attributes, struct error *err)
{
	char name[32], line[1024];
	unsigned int flags;
	const char *close;

	snprintf(name, sizeof(name), "task/%d/stat", attributes->tid);
	if (read_line(pid, name, line, sizeof(line)))
		return error_errno(err, CODE_TARGET, NULL, "cannot read /proc/%d/%s", pid, name);
	close = strrchr(line, ')');
	if (!close || sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return error_set(err, CODE_TARGET, NULL, "cannot read /proc/%d/%s", pid, name);
	attributes->io_flusher = (flags & IO_FLUSHER) == IO_FLUSHER;
	return 0;
}

static int read_status(pid_t pid, struct thread_attributes *attributes, struct error *err)
{
	char name[32], *text;

	snprintf(name, sizeof(name), "task/%d/status", attributes->tid);
	text = proc_text(pid, name);
	if (!text)
		return error_errno(err, CODE_TARGET, NULL, "cannot read /proc/%d/%s", pid, name);
	for (char *line = text, *end; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		thread_attributes_parse(line, attributes);
	}
	free(text);
	return attributes->ns_tid ? 0 :
	       error_set(err, CODE_TARGET, NULL, "cannot read /proc/%d/%s", pid, name);
}

int thread_cpus(pid_t tid, struct cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	return syscall(SYS_sched_getaffinity, tid, CPUS_BYTES, cpus->bits) < 0 ? -1 : 0;
}

int thread_attributes_read(pid_t pid, pid_t tid, struct thread_attributes *attributes,
			   struct error *err)
{
	char line[64];

	memset(attributes, 0, sizeof(*attributes));
	attributes->tid = tid;
	if (read_status(pid, attributes, err) || read_flags(pid, attributes, err))
		return -1;
	if (syscall(SYS_sched_getattr, tid, &attributes->sched, sizeof(attributes->sched), 0))
		return error_errno(err, CODE_TARGET, NULL,
				   "cannot read how thread %d is scheduled", tid);
	/* only /proc/PID has this file, but /proc/TID exists for each thread */
	if (read_line(tid, "timerslack_ns", line, sizeof(line)))
		return error_errno(err, CODE_TARGET, NULL, "cannot read /proc/%d/timerslack_ns", tid);
	attributes->timer_slack_ns = strtoull(line, NULL, 10);
	attributes->io_priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
	if (attributes->io_priority < 0)
		return error_errno(err, CODE_TARGET, NULL, "cannot read the I/O priority of thread %d",
				   tid);
	if (thread_cpus(tid, &attributes->cpus))
		return error_errno(err, CODE_TARGET, NULL, "cannot read the affinity of thread %d",
				   tid);
	return 0;
}

int process_attributes_read(pid_t pid, struct process_attributes *attributes, struct error *err)
{
	char line[64];

	memset(attributes, 0, sizeof(*attributes));
	if (read_line(pid, "coredump_filter", line, sizeof(line)))
		return error_errno(err, CODE_TARGET, NULL, "cannot read /proc/%d/coredump_filter", pid);
	attributes->coredump_filter = strtoul(line, NULL, 16);
	attributes->has_autogroup =
		!read_line(pid, "autogroup", line, sizeof(line)) &&
		sscanf(line, "/autogroup-%*d nice %d", &attributes->autogroup_nice) == 1;
	return 0;
}

int thread_set_timer_slack(pid_t tid, uint64_t ns)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", tid);
	snprintf(text, sizeof(text), "%" PRIu64, ns);
	return io_write_text(path, text);
}

/* False for the default bounds, and for a kernel without utilization clamping (0 and 0). */
static bool clamps(const struct thread_sched *sched)
{
	return sched->sched_util_min || (sched->sched_util_max && sched->sched_util_max != UTIL_MAX);
}

bool thread_has_sched(const struct thread_sched *wanted, const struct thread_sched *now)
{
	if (clamps(wanted) && (wanted->sched_util_min != now->sched_util_min ||
			       wanted->sched_util_max != now->sched_util_max))
		return false;
	return wanted->sched_policy == now->sched_policy &&
	       wanted->sched_flags == now->sched_flags && wanted->sched_nice == now->sched_nice &&
	       wanted->sched_priority == now->sched_priority &&
	       wanted->sched_runtime == now->sched_runtime &&
	       wanted->sched_deadline == now->sched_deadline &&
	       wanted->sched_period == now->sched_period;
}

int thread_set_sched(pid_t tid, const struct thread_sched *wanted)
{
	struct thread_sched sched = *wanted;

	sched.size = sizeof(sched);
	if (clamps(wanted))
		sched.sched_flags |= FLAG_UTIL_CLAMP;
	return syscall(SYS_sched_setattr, tid, &sched, 0);
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
	return io_write_text(path, text);
}

int process_set_autogroup_nice(pid_t pid, int value)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
	snprintf(text, sizeof(text), "%d", value);
	return io_write_text(path, text);
}
