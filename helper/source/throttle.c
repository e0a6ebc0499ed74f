// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "os/cgroup_members.h"
#include "os/proc_tree.h"
#include "source/throttle.h"

#define MOST_PERCENT	97	/* more is not taken away: the program has to answer, now and then */

/* Return: a process of the group that is not of the program; 0: none */
static pid_t find_stranger(const struct throttle *throttle, struct error *err)
{
	struct cgroup group = { .kind = throttle->cpu.kind };
	pid_t *pids, found = 0;
	size_t nr;

	strcpy(group.dir, throttle->cpu.dir);
	if (cgroup_pids(&group, &pids, &nr, err))
		return 0;
	for (size_t i = 0; i < nr && !found; i++)
		if (pids[i] != throttle->root && proc_has_left(pids[i], throttle->root))
			found = pids[i];
	free(pids);
	return found;
}

static int check_members(const struct throttle *throttle, struct error *err)
{
	const char *line = throttle->cpu.line;
	pid_t *pids, stranger;
	size_t nr;

	if (proc_tree(throttle->root, &pids, &nr, err))
		return -1;
	for (size_t i = 0; i < nr && !error_is_set(err); i++)
		if (!cgroup_cpu_has(&throttle->cpu, pids[i]))
			error_set(err, CODE_REFUSED, "move all of the program to one control group, or below it",
				  "--on-stall throttle: process %d of the program is not in control group %s",
				  pids[i], line);
	free(pids);
	stranger = error_is_set(err) ? 0 : find_stranger(throttle, err);
	if (stranger)
		error_set(err, CODE_REFUSED,
			  "start the program in a control group of its own, as a service or by systemd-run --scope",
			  "--on-stall throttle: process %d is in control group %s too, and is not of the program",
			  stranger, line);
	return error_is_set(err) ? -1 : 0;
}

int throttle_plan(struct throttle *throttle, pid_t root, struct error *err)
{
	throttle->root = root;
	if (cgroup_cpu_plan(&throttle->cpu, root, err))
		return -1;
	if (!check_members(throttle, err))
		return 0;
	throttle->cpu.kind = CGROUP_NONE;
	return -1;
}

/* utime and stime of the process, with those of its threads and children that have ended */
static uint64_t ticks_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	long children_user = 0, children_system = 0;
	char path[32], text[512], *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	at = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	if (at)
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user, &system,
		       &children_user, &children_system);
	if (file)
		fclose(file);
	return user + system + children_user + children_system;
}

static uint64_t ticks_of_all(pid_t root)
{
	struct error ignored = { 0 };
	uint64_t ticks = 0;
	pid_t *pids;
	size_t nr;

	if (proc_tree(root, &pids, &nr, &ignored))
		return 0;
	for (size_t i = 0; i < nr; i++)
		ticks += ticks_of(pids[i]);
	free(pids);
	return ticks;
}

void throttle_begin(struct throttle *throttle)
{
	if (throttle->cpu.kind == CGROUP_NONE)
		return;
	throttle->since_ns = clock_now_ns();
	throttle->used_ticks = ticks_of_all(throttle->root);
}

/* Return: false when it cannot be told: what a child used that nobody of the program has waited for is missing */
static bool measure(struct throttle *throttle)
{
	uint64_t ticks = ticks_of_all(throttle->root), ns = clock_now_ns() - throttle->since_ns;

	if (!throttle->used_ticks || ticks <= throttle->used_ticks)
		return false;
	throttle->used_permille = (double)(ticks - throttle->used_ticks) / sysconf(_SC_CLK_TCK) * 1e12 / (ns + 1);
	return true;
}

/* @quota_us: 0: no limit of ours. Noted first: the keeper may be killed behind its write */
static int ask(struct throttle *throttle, long quota_us, struct error *err)
{
	if (quota_us)
		cgroup_cpu_note(&throttle->cpu, quota_us);
	return source_keeper_throttle(*throttle->keeper, quota_us, err);
}

/* Half of what the program gets now: 50, 75, 87, 93, 96 percent are taken away. */
bool throttle_step(struct throttle *throttle)
{
	unsigned int percentage = throttle->percentage + (100 - throttle->percentage) / 2;
	unsigned long permille;
	char undo[CGROUP_CPU_UNDO_BYTES];
	struct error err = { 0 };
	long quota_us;

	if (!throttle->percentage && (!measure(throttle) || cgroup_cpu_look(&throttle->cpu))) {
		report_say("the program does not get less CPU time: how much it uses cannot be told");
		return false;
	}
	permille = throttle->used_permille * (100 - percentage) / 100;
	quota_us = percentage > MOST_PERCENT ? 0 : cgroup_cpu_share(&throttle->cpu, permille);
	if (!quota_us) {
		report_say("the program cannot get less CPU time");
		return false;
	}
	if (check_members(throttle, &err) || ask(throttle, quota_us, &err)) {
		report_say("the program does not get less CPU time: %s", err.what);
		return false;
	}
	throttle->percentage = percentage;
	cgroup_cpu_undo_command(&throttle->cpu, undo, sizeof(undo));
	report_say("the program gets %u %% of the CPU time that it used: %ld us in %ld us. If this program and its keeper are both killed: %s",
		   100 - percentage, quota_us, throttle->cpu.period_us, undo);
	return true;
}

void throttle_end(struct throttle *throttle)
{
	struct error err = { 0 };

	if (!throttle->cpu.nr)
		return;
	if (ask(throttle, 0, &err)) {
		err = (struct error){ 0 };
		if (cgroup_cpu_restore(&throttle->cpu, &err))
			report_say("%s", err.what);
	}
	throttle->cpu.nr = throttle->percentage = 0;
}
