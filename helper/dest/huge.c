// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "dest/huge.h"
#include "os/huge_pages.h"
#include "os/proc.h"

#define MAKE_S	60	/* a program may have mapped terabytes that it never touched; khugepaged does the rest */

/* Another process may have the pid by now. That would lose nothing but time: contents stay as they are. */
static bool is_it(const struct process *process)
{
	struct error ignored = { 0 };
	struct proc_status now;

	return process->host_pid && !proc_status_alone(process->host_pid, &now, &ignored) &&
	       now.ns_pid == process->pid;
}

bool huge_is_wanted(const struct program *program)
{
	enum huge_policy policy = huge_policy();

	for (size_t i = 0; i < program->nr; i++)
		if (is_it(program->processes[i]) &&
		    huge_pages_wanted(program->processes[i]->host_pid, policy))
			return true;
	return false;
}

uint64_t huge_make(const struct program *program)
{
	enum huge_policy policy = huge_policy();
	uint64_t all = 0, made, until_ns = clock_now_ns() + MAKE_S * 1000000000UL;

	for (size_t i = 0; i < program->nr; i++) {
		struct error ignored = { 0 };

		if (!is_it(program->processes[i]))
			continue;
		huge_pages_make(program->processes[i]->host_pid, policy, until_ns, &made, &ignored);
		all += made;
	}
	return all;
}
