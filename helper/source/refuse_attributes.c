// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "os/proc.h"
#include "os/proc_files.h"
#include "source/refuse.h"

/* Flags in /proc/PID/stat: PF_MCE_PROCESS; PF_MEMALLOC_NOIO with PF_LOCAL_THROTTLE */
#define FLAG_MCE_KILL		0x00000080

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE		62
#define PR_SCHED_CORE_GET	0
#endif

bool criu_is_4_1(const struct criu_version *criu)
{
	return criu->major > 4 || (criu->major == 4 && criu->minor >= 1);
}

/* Return: NULL also for a file that the kernel does not have; with @err when descriptors or memory are short */
static FILE *open_proc(const struct inspection *look, const char *name, struct error *err)
{
	char path[48];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", look->process->pid, name);
	file = fopen(path, "re");
	if (!file && proc_is_short(errno))
		error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", path);
	return file;
}

/* Return: as open_proc() */
static char *read_proc(const struct inspection *look, const char *name, struct error *err)
{
	char *text = proc_text(look->process->pid, name);

	if (!text && proc_is_short(errno))
		error_errno(err, CODE_INTERNAL, NULL, "cannot read /proc/%d/%s", look->process->pid, name);
	return text;
}

void refuse_status_line(struct inspection *look, const char *line)
{
	if (!strncmp(line, "x86_Thread_features:", 20) && strstr(line, "shstk") &&
	    !criu_is_4_1(look->criu))
		losses_add(look->losses, LOSS_SHADOW_STACK, "process %d", look->process->pid);
}

/* CRIU 4.1 carries all that the status shows. */
static void find_in_status(struct inspection *look, struct error *err)
{
	FILE *file = criu_is_4_1(look->criu) ? NULL : open_proc(look, "status", err);
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		refuse_status_line(look, line);
	if (file)
		fclose(file);
}

/*
 * ":NAMESPACE:PROFILE", alone or on top of others; a context of SELinux begins with no colon. CRIU replaces the profiles
 * of the namespace by one that allows all, and puts them back when its dump ends: not when it is held, and then let go.
 */
void refuse_label(pid_t pid, const char *label, struct refusals *refusals)
{
	if (*label == ':' || strstr(label, "//&:"))
		refuse(refusals, "start it outside of one",
		       "process %d is in an AppArmor namespace (%.*s)", pid,
		       (int)strcspn(label, "\n"), label);
}

void refuse_apparmor(pid_t pid, struct refusals *refusals)
{
	char *label = proc_text(pid, "attr/current");

	/* a kernel without security module has none */
	if (label)
		refuse_label(pid, label, refusals);
	free(label);
}

static void find_in_stat(struct inspection *look, struct error *err)
{
	char *text = read_proc(look, "stat", err), *close = text ? strrchr(text, ')') : NULL;
	unsigned long user = 0, system = 0;
	unsigned int flags = 0;
	bool found = close && sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %lu %lu",
				     &flags, &user, &system) == 3;

	free(text);
	if (!found)
		return;
	/* of a tree, the root's stands for all */
	if (look->process == tree_root(look->tree))
		losses_add(look->losses, LOSS_ACCOUNTING, "%.2f s of CPU time so far",
			   (double)(user + system) / sysconf(_SC_CLK_TCK));
	if (flags & FLAG_MCE_KILL)
		losses_add(look->losses, LOSS_PRCTL, "PR_MCE_KILL");
}

static void find_session(struct inspection *look, struct error *err)
{
	char *text = read_proc(look, "sessionid", err);
	unsigned long id = text && *text ? strtoul(text, NULL, 10) : UINT32_MAX;

	if (id != UINT32_MAX)
		losses_add(look->losses, LOSS_AUDIT_SESSION, "%lu", id);
	free(text);
}

static void find_core_cookie(struct inspection *look)
{
	uint64_t cookie = 0;

	if (!prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, look->process->pid, 0, &cookie) && cookie)
		losses_add(look->losses, LOSS_CORE_SCHEDULING, "cookie 0x%" PRIx64, cookie);
}

static bool has_default_policy(const char *line)
{
	const char *policy = strchr(line, ' ');

	return policy && !strncmp(policy, " default", 8) && (!policy[8] || strchr(" \n", policy[8]));
}

/* Each line of numa_maps begins with the address and the policy of one mapping. */
static void find_memory_policy(struct inspection *look, struct error *err)
{
	FILE *file = open_proc(look, "numa_maps", err);
	char *line = NULL, policy[64], buffer[PROC_TEXT_BYTES];
	unsigned long addr;
	size_t cap = 0;

	if (file)
		setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	while (file && getline(&line, &cap, file) > 0)
		if (!has_default_policy(line) && sscanf(line, "%lx %63s", &addr, policy) == 2)
			losses_add(look->losses, LOSS_MEMORY_POLICY, "%s at 0x%lx", policy, addr);
	free(line);
	if (file)
		fclose(file);
}

static void find_in_mappings(struct inspection *look)
{
	for (size_t i = 0; i < look->vmas->nr; i++) {
		const struct vma *vma = &look->vmas->vmas[i];

		if (vma->wipeonfork)
			losses_add(look->losses, LOSS_WIPEONFORK, "0x%" PRIx64, vma->start);
		/* Linux 6.2 and later name shared memory too */
		if (!strncmp(vma->name, "[anon:", 6) || !strncmp(vma->name, "[anon_shmem:", 12))
			losses_add(look->losses, LOSS_MAPPING_NAMES, "%s at 0x%" PRIx64, vma->name,
				   vma->start);
	}
}

/* /proc does not show mlockall(MCL_FUTURE). A program whose memory is all locked has called it. */
static void find_locked(struct inspection *look)
{
	size_t nr = 0;

	for (size_t i = 0; i < look->vmas->nr; i++) {
		const struct vma *vma = &look->vmas->vmas[i];

		if (!vma_is_ours(vma) || !vma->prot)
			continue;
		if (!vma->locked)
			return;
		nr++;
	}
	if (nr)
		losses_add(look->losses, LOSS_LOCK_FUTURE, "all of its %zu mappings are locked",
			   nr);
}

static int find_events(void *ctx, const struct proc_file *file, struct error *err)
{
	struct inspection *look = ctx;
	int fd, bytes = 0;

	if (strcmp(file->path, "anon_inode:inotify") && strcmp(file->path, "anon_inode:[fanotify]"))
		return 0;
	fd = proc_fd_get(look->process->pid, file->fd);
	if (fd < 0)
		return !proc_is_short(errno) ? 0 :
		       error_errno(err, CODE_INTERNAL, NULL, "cannot look at descriptor %d of process %d",
				   file->fd, look->process->pid);
	if (!ioctl(fd, FIONREAD, &bytes) && bytes)
		losses_add(look->losses, LOSS_FILE_EVENTS, "%d bytes of descriptor %d (%s)", bytes,
			   file->fd, file->path + strlen("anon_inode:"));
	close(fd);
	return 0;
}

int refuse_attributes(struct inspection *look, const struct proc_files *files, struct error *err)
{
	find_in_status(look, err);
	find_in_stat(look, err);
	find_session(look, err);
	find_core_cookie(look);
	find_memory_policy(look, err);
	find_in_mappings(look);
	find_locked(look);
	if (error_is_set(err))
		return -1;
	return proc_files_each(files, find_events, look, err);
}
