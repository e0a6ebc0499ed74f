// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "base/report.h"

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
}

static void refuse_children(struct refusals *refusals, pid_t pid, size_t nr, pid_t child)
{
	static const char hint[] = "trees of processes are not carried yet";

	if (nr == 1)
		refuse(refusals, hint, "process %d has a child (%d)", pid, child);
	else
		refuse(refusals, hint, "process %d has %zu children (%d and others)", pid, nr,
		       child);
}

static void refuse_tree(const struct outgoing *out, struct refusals *refusals)
{
	static const struct {
		const char *name, *text;
	} spaces[] = {
		{ "pid", "PID" }, { "mnt", "mount" }, { "net", "network" }, { "user", "user" },
		{ "ipc", "IPC" }, { "uts", "UTS" }, { "time", "time" }, { "cgroup", "cgroup" },
	};
	pid_t pid = out->opts->pid, child;
	struct error ignored = { 0 };
	size_t nr;

	if (!proc_children(pid, &nr, &child, &ignored) && nr)
		refuse_children(refusals, pid, nr, child);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++)
		if (proc_ns(pid, spaces[i].name) != proc_ns(0, spaces[i].name))
			refuse(refusals, "run migrate-helper in the same namespace (nsenter)",
			       "process %d is in another %s namespace", pid, spaces[i].text);
}

static void refuse_memory(const struct outgoing *out, struct refusals *refusals)
{
	uint64_t shared = 0, hugetlb_at = 0;
	size_t hugetlb = 0;

	for (size_t i = 0; i < out->vmas.nr; i++) {
		const struct vma *vma = &out->vmas.vmas[i];

		if (vma->hugetlb)
			hugetlb_at = hugetlb++ ? hugetlb_at : vma->start;
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
	if (hugetlb)
		refuse(refusals, "run it without huge pages of its own",
		       "%zu mappings are of hugetlb pages, the first at 0x%" PRIx64, hugetlb,
		       hugetlb_at);
	if (shared)
		report_say("%" PRIu64 " KiB of shared memory are carried while the program stands",
			   shared >> 10);
}

static bool is_message_queue(const struct proc_file *file)
{
	static const long type = 0x19800202;	/* MQUEUE_MAGIC of the kernel's ipc/mqueue.c */

	return S_ISREG(file->st.st_mode) && proc_fd_is_on(file->pid, file->fd, &type, 1);
}

static int refuse_descriptor(void *ctx, const struct proc_file *file, struct error *err)
{
	struct refusals *refusals = ctx;

	if (!strcmp(file->path, "anon_inode:[userfaultfd]"))
		refuse(refusals, NULL, "descriptor %d is a userfaultfd", file->fd);
	else if (!strcmp(file->path, "anon_inode:[io_uring]"))
		refuse(refusals, NULL, "descriptor %d is an io_uring", file->fd);
	else if (is_message_queue(file))
		refuse(refusals, NULL, "descriptor %d is the message queue %s", file->fd,
		       file->path);
	return 0;
}

/* What may be another thing at the freeze than it was in the beginning. */
static int find_changing(struct outgoing *out, const struct proc_files *files,
			 const struct vma_list *vmas, struct error *err)
{
	refuse_mappings(out, vmas);
	return refuse_files(out, files, err) || refuse_pipes(out, files, err) ||
	       refuse_sockets(out, files, err) ? -1 : 0;
}

static int find_losses(struct outgoing *out, const struct proc_files *files, struct error *err)
{
	return find_changing(out, files, &out->vmas, err) || refuse_sockopts(out, files, err) ||
	       refuse_cgroup(out, err) || refuse_attributes(out, files, err) ||
	       refuse_shared(out, files, err) ? -1 : 0;
}

static int refuse_descriptors(struct outgoing *out, struct refusals *refusals, struct error *err)
{
	struct proc_files files;
	int ret;

	if (proc_files_read(out->opts->pid, &files, err))
		return -1;
	ret = proc_files_each(&files, refuse_descriptor, refusals, err) ||
	      refuse_unix(out, &files, refusals, err) ||
	      refuse_terminals(out, &files, refusals, err) || find_losses(out, &files, err) ? -1 : 0;
	proc_files_free(&files);
	return ret;
}

static void refuse_losses(const struct outgoing *out, struct refusals *refusals)
{
	for (size_t i = 0; i < out->losses.nr; i++) {
		struct error loss = { 0 };

		if (out->losses.items[i].fate != LOSS_REFUSED)
			continue;
		losses_refusal(&out->losses.items[i], &loss);
		refuse(refusals, loss.hint, "%s", loss.what);
	}
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
	if (refuse_descriptors(out, &refusals, err))
		return -1;
	refuse_losses(out, &refusals);
	return refusals_end(&refusals, pid, err);
}

int outgoing_refuse_frozen(struct outgoing *out, struct error *err)
{
	struct proc_files files;
	struct vma_list vmas;
	int ret;

	losses_renew(&out->losses, 1UL << LOSS_WRITABLE_FILE | 1UL << LOSS_APPENDED_FILE |
		     1UL << LOSS_GHOST_XATTRS | 1UL << LOSS_TCP_CONNECTIONS |
		     1UL << LOSS_IN_FLIGHT | 1UL << LOSS_DATAGRAMS);
	if (maps_read(out->opts->pid, false, &vmas, err))
		return -1;
	ret = proc_files_read(out->opts->pid, &files, err);
	if (!ret) {
		ret = find_changing(out, &files, &vmas, err);
		proc_files_free(&files);
	}
	maps_free(&vmas);
	return ret ? ret : losses_refused(&out->losses, err);
}
