// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "os/cgroup_cpu.h"

#define NO_LIMIT	(-1L)
#define LEAST_US	1000L	/* the kernel refuses less */
#define PATH_BYTES	(PATH_MAX + 64)
#define HINT		"give it a group with the controller \"cpu\": systemd-run --scope -p CPUAccounting=yes -p CPUQuota=10000% COMMAND"

/* Return: 0, or -1 with errno */
static int read_file(const char *dir, const char *name, char *text, size_t size)
{
	char path[PATH_BYTES];
	bool found;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	errno = EIO;
	found = fgets(text, size, file);
	fclose(file);
	return found ? 0 : -1;
}

static int read_number(const char *dir, const char *name, long *number)
{
	char text[64];

	if (read_file(dir, name, text, sizeof(text)))
		return -1;
	*number = strtol(text, NULL, 10);
	return 0;
}

/* Of the group with directory @dir. Return: 0, or -1 with errno */
static int read_limit(const struct cgroup_cpu *cpu, const char *dir, long *quota_us, long *period_us)
{
	char text[64], *end;

	if (cpu->kind == CGROUP_V1_CPU)
		return read_number(dir, "cpu.cfs_quota_us", quota_us) ||
		       read_number(dir, "cpu.cfs_period_us", period_us) ? -1 : 0;
	if (read_file(dir, "cpu.max", text, sizeof(text)))
		return -1;
	*quota_us = NO_LIMIT;
	end = text + strlen("max");
	if (strncmp(text, "max", strlen("max")))
		*quota_us = strtol(text, &end, 10);
	*period_us = strtol(end, NULL, 10);
	return 0;
}

static int write_limit(const struct cgroup_cpu *cpu, long quota_us)
{
	char path[PATH_BYTES], text[64];

	snprintf(path, sizeof(path), "%s/%s", cpu->dir,
		 cpu->kind == CGROUP_V1_CPU ? "cpu.cfs_quota_us" : "cpu.max");
	if (cpu->kind == CGROUP_V1_CPU)
		snprintf(text, sizeof(text), "%ld", quota_us);
	else if (quota_us < 0)
		snprintf(text, sizeof(text), "max %ld", cpu->period_us);
	else
		snprintf(text, sizeof(text), "%ld %ld", quota_us, cpu->period_us);
	return io_write_text(path, text);
}

static bool find(struct cgroup_cpu *cpu, pid_t pid, enum cgroup_kind kind)
{
	char point[PATH_MAX];

	memset(cpu, 0, sizeof(*cpu));
	cpu->kind = kind;
	return !cgroup_line(pid, kind, cpu->line, sizeof(cpu->line)) &&
	       !cgroup_dir(pid, kind, cpu->dir, sizeof(cpu->dir), point, sizeof(point)) &&
	       !read_limit(cpu, cpu->dir, &cpu->old_us, &cpu->period_us) && cpu->period_us > 0;
}

/* Return: true when a group below @dir has a limit: v1 then refuses a lower one for @dir */
static bool has_limit_below(const struct cgroup_cpu *cpu, const char *dir)
{
	char path[PATH_BYTES];
	DIR *list = opendir(dir);
	struct dirent *entry;
	bool found = false;
	long quota, period;

	while (list && !found && (entry = readdir(list))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >= PATH_MAX)
			continue;
		found = (!read_limit(cpu, path, &quota, &period) && quota >= 0) ||
			has_limit_below(cpu, path);
	}
	if (list)
		closedir(list);
	return found;
}

int cgroup_cpu_plan(struct cgroup_cpu *cpu, pid_t pid, struct error *err)
{
	char line[PATH_MAX] = "?";

	if (!find(cpu, pid, CGROUP_V2) && !find(cpu, pid, CGROUP_V1_CPU)) {
		cpu->kind = CGROUP_NONE;
		if (cgroup_line(pid, CGROUP_V2, line, sizeof(line)))
			cgroup_line(pid, CGROUP_V1_CPU, line, sizeof(line));
		return error_set(err, CODE_REFUSED, HINT,
				 "control group %s of process %d has no limit of CPU time", line, pid);
	}
	if (cpu->kind != CGROUP_V1_CPU || !has_limit_below(cpu, cpu->dir))
		return 0;
	cpu->kind = CGROUP_NONE;
	return error_set(err, CODE_REFUSED, "let the groups below have no limits of CPU time",
			 "control group %s of process %d has a group below with a limit of CPU time, below which cgroup v1 does not go",
			 cpu->line, pid);
}

bool cgroup_cpu_has(const struct cgroup_cpu *cpu, pid_t pid)
{
	const char *home = strcmp(cpu->line, "/") ? cpu->line : "";
	size_t bytes = strlen(home);
	char line[PATH_MAX];

	if (cgroup_line(pid, cpu->kind, line, sizeof(line)))
		return errno == ENOENT || errno == ESRCH;
	return !strncmp(line, home, bytes) && (!line[bytes] || line[bytes] == '/');
}

long cgroup_cpu_share(const struct cgroup_cpu *cpu, unsigned long permille)
{
	long had = cpu->nr ? cpu->set_us[cpu->nr - 1] : cpu->old_us, quota_us = permille * cpu->period_us / 1000;

	if (quota_us < LEAST_US)
		quota_us = LEAST_US;
	return (had >= 0 && quota_us >= had) || cpu->nr == CGROUP_CPU_STEPS ? 0 : quota_us;
}

void cgroup_cpu_note(struct cgroup_cpu *cpu, long quota_us)
{
	if (cpu->nr < CGROUP_CPU_STEPS)
		cpu->set_us[cpu->nr++] = quota_us;
}

static bool is_ours(const struct cgroup_cpu *cpu, long quota_us)
{
	for (unsigned int i = 0; i < cpu->nr; i++)
		if (cpu->set_us[i] == quota_us)
			return true;
	return false;
}

int cgroup_cpu_look(struct cgroup_cpu *cpu)
{
	return read_limit(cpu, cpu->dir, &cpu->old_us, &cpu->period_us);
}

/* Somebody may have set a limit since the last look: it holds, and is what is given back. */
static int look_again(struct cgroup_cpu *cpu, long quota_us, struct error *err)
{
	long now_us, period_us;

	if (read_limit(cpu, cpu->dir, &now_us, &period_us))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read the limit of control group %s", cpu->dir);
	if (cpu->nr && !is_ours(cpu, now_us))
		return error_set(err, CODE_REFUSED, NULL, "somebody else has set a limit of CPU time for control group %s",
				 cpu->dir);
	if (!cpu->nr) {
		cpu->old_us = now_us;
		cpu->period_us = period_us;
	}
	return now_us < 0 || quota_us < now_us ? 0 :
	       error_set(err, CODE_REFUSED, NULL, "control group %s has less CPU time already", cpu->dir);
}

int cgroup_cpu_set(struct cgroup_cpu *cpu, long quota_us, struct error *err)
{
	if (cpu->kind == CGROUP_NONE || cpu->nr == CGROUP_CPU_STEPS)
		return error_set(err, CODE_INTERNAL, NULL, "no control group whose CPU time can be limited");
	if (look_again(cpu, quota_us, err))
		return -1;
	if (write_limit(cpu, quota_us))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot limit the CPU time of control group %s",
				   cpu->dir);
	cgroup_cpu_note(cpu, quota_us);
	return 0;
}

void cgroup_cpu_undo_command(const struct cgroup_cpu *cpu, char *text, size_t size)
{
	if (cpu->kind == CGROUP_V1_CPU)
		snprintf(text, size, "echo %ld >%s/cpu.cfs_quota_us", cpu->old_us, cpu->dir);
	else if (cpu->old_us < 0)
		snprintf(text, size, "echo max %ld >%s/cpu.max", cpu->period_us, cpu->dir);
	else
		snprintf(text, size, "echo %ld %ld >%s/cpu.max", cpu->old_us, cpu->period_us, cpu->dir);
}

int cgroup_cpu_restore(struct cgroup_cpu *cpu, struct error *err)
{
	long quota_us, period_us;

	if (cpu->kind == CGROUP_NONE || !cpu->nr)
		return 0;
	if (read_limit(cpu, cpu->dir, &quota_us, &period_us))
		return errno == ENOENT || errno == ENODEV ? 0 :
		       error_errno(err, CODE_INTERNAL, NULL, "cannot read the limit of control group %s",
				   cpu->dir);
	if (is_ours(cpu, quota_us) && write_limit(cpu, cpu->old_us))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot give control group %s back its CPU time", cpu->dir);
	cpu->nr = 0;
	return 0;
}
