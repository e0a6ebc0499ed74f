// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/report.h"
#include "base/text.h"
#include "source/refuse.h"

static const char hint_hugetlb[] = "CRIU 4.1 or later on both machines carries them";

static const char hint_shared_hugetlb[] = "run it without huge pages of hugetlbfs";

/* Of MAP_ANONYMOUS with MAP_HUGETLB, without a file of hugetlbfs. */
static bool is_anon_hugetlb(const struct vma *vma)
{
	return !strncmp(vma->name, "/anon_hugepage", 14);
}

/* What CRIU 4.1 carries; the pages of shared ones are an object of their own (source/shm.h). */
static bool is_carried_hugetlb(const struct vma *vma)
{
	return is_anon_hugetlb(vma) || (vma->shared && !strncmp(vma->name, "/memfd:", 7));
}

/* An older CRIU takes huge pages for clean after a write to clear_refs, and leaves them out. */
static void refuse_hugetlb(const struct inspection *look, struct refusals *refusals)
{
	size_t carried = 0, other = 0;
	uint64_t at = 0, bytes = 0;

	for (size_t i = 0; i < look->vmas->nr; i++) {
		const struct vma *vma = &look->vmas->vmas[i];

		if (!vma->hugetlb)
			continue;
		carried += is_carried_hugetlb(vma);
		bytes += vma->shared ? 0 : vma->end - vma->start;
		if (!is_carried_hugetlb(vma) && !other++)
			at = vma->start;
	}
	if (other)
		refuse(refusals, hint_shared_hugetlb,
		       "it has %s of hugetlb pages of a file, the first at 0x%" PRIx64,
		       text_count(other, "mapping", "mappings").text, at);
	if (carried && !criu_is_4_1(look->criu))
		refuse(refusals, hint_hugetlb,
		       "it has %s of hugetlb pages", text_count(carried, "mapping", "mappings").text);
	else if (bytes && !other)
		report_say("%" PRIu64 " MiB of huge pages are carried while the program stands",
			   bytes >> 20);
}

static bool has_own_ipc(const struct inspection *look)
{
	return proc_ns(look->process->pid, "ipc") != proc_ns(0, "ipc");
}

void refuse_memory(const struct inspection *look, struct refusals *refusals)
{
	uint64_t shared = 0;

	for (size_t i = 0; i < look->vmas->nr; i++) {
		const struct vma *vma = &look->vmas->vmas[i];

		if (vma->hugetlb)
			continue;
		if (vma->uffd)
			refuse(refusals, NULL, "mapping 0x%" PRIx64 " is under a userfaultfd",
			       vma->start);
		else if (!strncmp(vma->name, "/[aio]", 6))
			refuse(refusals, NULL, "it uses asynchronous I/O (io_setup)");
		else if (!strncmp(vma->name, "/SYSV", 5) && !has_own_ipc(look))
			refuse(refusals, "start it in an IPC namespace of its own (unshare --ipc)",
			       "process %d uses System V shared memory of this machine",
			       look->process->pid);
		else if (vma->io && !vma->special)
			refuse(refusals, NULL, "mapping 0x%" PRIx64 " is of a device (%s)",
			       vma->start, vma->name);
		else if (vma->shared && (vma->anon || !strncmp(vma->name, "/dev/zero", 9) ||
					 !strncmp(vma->name, "/memfd:", 7)))
			shared += vma->end - vma->start;
	}
	refuse_hugetlb(look, refusals);
	if (shared)
		report_say("%" PRIu64 " KiB of shared memory are copied while the program runs, and compared while it stands",
			   shared >> 10);
}

/* The list is one without flags. CRIU waits for no I/O that is under way. */
int refuse_new_memory(const struct inspection *look, const struct vma_list *vmas,
		      struct error *err)
{
	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (!strncmp(vma->name, "/[aio]", 6))
			return error_set(err, CODE_REFUSED, NULL,
					 "process %d has begun to use asynchronous I/O (io_setup)",
					 look->process->pid);
		if (!is_anon_hugetlb(vma) || criu_is_4_1(look->criu))
			continue;
		return error_set(err, CODE_REFUSED, hint_hugetlb,
				 "mapping 0x%" PRIx64 ", made while the program was migrated, is of %shugetlb pages",
				 vma->start, vma->shared ? "shared " : "");
	}
	return 0;
}
