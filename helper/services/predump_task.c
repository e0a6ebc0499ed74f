// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "criu/page_command.h"
#include "os/maps.h"
#include "services/predump_task.h"

#define PROGRESS_PAGES	4096	/* pages between two lines of progress */

/*
 * The pid may have become another process's since the tree was listed; that one started later than the listing. Its bits
 * are of no concern to this program, and must not be cleared: so the descriptor is opened while the first one lives.
 */
static int clear_bits(struct predump_task *task)
{
	int fd = proc_open_clear_refs(task->pid, &task->err), ret = fd < 0 ? -1 : 0;

	if (!ret && task->backend->ops->is_gone(task->backend))
		ret = error_set(&task->err, CODE_TARGET, NULL, "process %d has ended or called exec",
				task->pid);
	if (!ret)
		ret = proc_clear_refs(fd, &task->err);
	if (fd >= 0)
		close(fd);
	return ret;
}

int predump_task_open(struct predump_task *task, enum backend_kind kind, uint64_t before_ticks, bool clear)
{
	task->backend = backend_open(kind, TRACKER_SOFT_DIRTY, task->pid, NULL, &task->err);
	if (!task->backend || proc_status_read(task->pid, &task->status, &task->err))
		return -1;
	if (task->status.start_ticks >= before_ticks)
		return error_set(&task->err, CODE_TARGET, NULL, "process %d is new", task->pid);
	return clear ? clear_bits(task) : 0;
}

void predump_task_close(struct predump_task *task)
{
	backend_close(task->backend);
	task->backend = NULL;
}

/* A mapping of hugetlb has no soft-dirty bits, and CRIU leaves it to the dump; the list of mappings has no flags. */
static bool is_huge(pid_t pid, const struct vma *vma)
{
	char path[80];
	struct statfs fs;

	if (vma->anon)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, vma->start, vma->end);
	return !statfs(path, &fs) && fs.f_type == HUGETLBFS_MAGIC;
}

static bool is_vdso(const struct vma *vma)
{
	return !strcmp(vma->name, "[vdso]");
}

/* Shared memory CRIU dumps by itself, and [vvar] is each kernel's own. */
static bool is_carried(pid_t pid, const struct vma *vma)
{
	return !vma->shared && (!vma->special || is_vdso(vma)) && !is_huge(pid, vma);
}

/** struct walk - over one mapping of @task */
struct walk {
	struct predump_task *task;
	struct page_copier *copier;
	uint64_t told;
};

static void tell_progress(struct walk *walk)
{
	const struct predump_task *task = walk->task;

	if (task->scanned - walk->told < PROGRESS_PAGES)
		return;
	walk->told = task->scanned;
	report_progress("process %d: %" PRIu64 " of %" PRIu64 " MiB", task->pid, task->scanned >> 8,
			task->status.rss_bytes >> 20);
}

/* A page of a private mapping's file is in the file, and the page of zeros is what comes there by itself. */
static int take_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	const uint32_t elsewhere = SPLICE_VM_RUN_FILE | SPLICE_VM_RUN_ZERO;
	struct walk *walk = ctx;

	for (uint32_t i = 0; i < nr; i++) {
		walk->task->scanned += runs[i].nr_pages;
		if (!(runs[i].flags & elsewhere) &&
		    page_copier_add(walk->copier, runs[i].addr, runs[i].nr_pages, err))
			return -1;
		tell_progress(walk);
	}
	return 0;
}

static void name_left(struct predump_task *task, const struct page_copier *copier, const struct vma_list *list)
{
	task->nr_left = copier->nr_left;
	for (size_t i = 0; i < copier->nr_left && i < PAGE_LEFT_MAX; i++) {
		const struct vma *vma = maps_find(list, copier->left[i].addr);

		task->left[i] = (struct predump_left){
			.pages = copier->left[i], .may_read = vma && vma->prot & PROT_READ,
		};
		text_printable(task->left[i].name, sizeof(task->left[i].name),
			       vma && *vma->name ? vma->name : "anonymous");
	}
}

/* CRIU wants all of the vDSO at each dump, also what the process has never touched. */
static int walk_one(struct walk *walk, const struct vma *vma)
{
	struct backend *backend = walk->task->backend;

	return is_vdso(vma) ?
	       page_copier_add(walk->copier, vma->start, (vma->end - vma->start) / PAGE_BYTES,
			       &walk->task->err) :
	       backend->ops->populated(backend, vma->start, vma->end, take_runs, walk, &walk->task->err);
}

static int walk_all(struct walk *walk)
{
	struct predump_task *task = walk->task;
	struct vma_list list;
	int ret = maps_read(task->pid, false, &list, &task->err);

	for (size_t i = 0; !ret && i < list.nr; i++)
		if (is_carried(task->pid, &list.vmas[i]))
			ret = walk_one(walk, &list.vmas[i]);
	if (!ret)
		ret = page_copier_finish(walk->copier, &task->err);
	/* process_vm_readv() goes by the pid: after an exec it reads another memory at the same addresses */
	if (!ret && task->backend->ops->is_gone(task->backend))
		ret = error_set(&task->err, CODE_TARGET, NULL, "process %d has ended or called exec",
				task->pid);
	name_left(task, walk->copier, &list);
	maps_free(&list);
	return ret;
}

static int write_pages(struct predump_task *task, struct image_writer *writer, struct pages_file *file,
		       struct parent_pages *parent)
{
	struct page_copier copier = { 0 };
	struct walk walk = { .task = task, .copier = &copier };
	int ret = pages_file_begin(file, writer->pages_fd, &task->err);

	if (!ret)
		ret = page_copier_init(&copier, task->backend, writer, file, parent, &task->err);
	if (!ret)
		ret = walk_all(&walk);
	task->counts = copier.counts;
	page_copier_free(&copier);
	return ret;
}

/* A parent that is of no use makes the images larger, no more. */
static void open_parent(struct predump_task *task, struct parent_pages *parent, int dir_fd)
{
	struct error why = { 0 };

	*parent = (struct parent_pages){ 0 };
	if (dir_fd >= 0 && parent_pages_open(parent, dir_fd, task->made.target, &why) < 0)
		report_say("process %d is written whole: %s", task->pid, why.what);
}

int predump_task_write(struct predump_task *task, struct image_dir *dir, int parent_fd, struct pages_file *file)
{
	uint64_t target = (uint64_t)task->status.ns_pid << 8 | PAGE_TARGET_PROCESS, begun = clock_now_ns();
	struct image_writer writer = IMAGE_WRITER_NONE;
	struct parent_pages parent;
	int ret;

	if (image_dir_take(dir, target, &task->made, &task->err))
		return -1;
	task->taken = true;
	open_parent(task, &parent, parent_fd);
	ret = image_writer_open(&writer, dir->fd, &task->made, &task->err);
	if (!ret)
		ret = write_pages(task, &writer, file, &parent);
	if (!ret)
		ret = image_writer_finish(&writer, &task->err);
	image_writer_drop(&writer);
	parent_pages_free(&parent);
	if (ret) {
		image_dir_drop(dir, &task->made, 1);
		task->taken = false;
	}
	task->ns = clock_now_ns() - begun;
	return ret;
}
