// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
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

/* process_vm_readv() goes by the pid: after an exec it reads another memory at the same addresses */
static int check_same(struct predump_task *task)
{
	return task->backend->ops->is_gone(task->backend) ?
	       error_set(&task->err, CODE_TARGET, NULL, "process %d has ended or called exec", task->pid) : 0;
}

/*
 * The pid may have become another process's since the tree was listed; that one started later than the listing. Its bits
 * are of no concern to this program, and must not be cleared: so the descriptor is opened while the first one lives.
 */
static int clear_bits(struct predump_task *task)
{
	int fd = proc_open_clear_refs(task->pid, &task->err), ret = fd < 0 ? -1 : 0;

	if (!ret)
		ret = check_same(task);
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

/** struct walk - over the memory of @task; @add: takes pages, for @to; @list: its mappings */
struct walk {
	struct predump_task *task;
	int (*add)(void *to, uint64_t addr, uint64_t nr_pages, struct error *err);
	void *to;
	struct vma_list list;
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
		    walk->add(walk->to, runs[i].addr, runs[i].nr_pages, err))
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
	       walk->add(walk->to, vma->start, (vma->end - vma->start) / PAGE_BYTES, &walk->task->err) :
	       backend->ops->populated(backend, vma->start, vma->end, take_runs, walk, &walk->task->err);
}

/* Return: -1 with @walk->task->err; the list of mappings is to be freed also then */
static int walk_all(struct walk *walk)
{
	struct predump_task *task = walk->task;
	int ret = maps_read(task->pid, false, &walk->list, &task->err);

	for (size_t i = 0; !ret && i < walk->list.nr; i++)
		if (is_carried(task->pid, &walk->list.vmas[i]))
			ret = walk_one(walk, &walk->list.vmas[i]);
	return ret;
}

static int add_to_images(void *to, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	return page_copier_add(to, addr, nr_pages, err);
}

static int write_pages(struct predump_task *task, struct image_writer *writer, struct pages_file *file,
		       struct page_chain *parent)
{
	struct page_copier copier = { 0 };
	struct walk walk = { .task = task, .add = add_to_images, .to = &copier };
	int ret = pages_file_begin(file, writer->pages_fd, &task->err);

	if (!ret)
		ret = page_copier_init(&copier, task->backend, writer, file, parent, &task->err);
	if (!ret && !walk_all(&walk) && !page_copier_finish(&copier, &task->err))
		ret = check_same(task);
	else
		ret = -1;
	name_left(task, &copier, &walk.list);
	maps_free(&walk.list);
	task->counts = copier.counts;
	page_copier_free(&copier);
	return ret;
}

/* A parent that is of no use makes the images larger, no more. */
static void open_parent(struct predump_task *task, struct page_chain *parent, int dir_fd)
{
	struct error why = { 0 };

	*parent = (struct page_chain){ 0 };
	if (dir_fd < 0 || (page_chain_open(parent, dir_fd, task->made.target, &why) >= 0 &&
			   !page_chain_climb(parent, &why) && !page_chain_check_files(parent, &why)))
		return;
	report_say("process %d is written whole: %s", task->pid, why.what);
	page_chain_free(parent);
}

int predump_task_write(struct predump_task *task, struct image_dir *dir, int parent_fd, struct pages_file *file)
{
	uint64_t target = (uint64_t)task->status.ns_pid << 8 | PAGE_TARGET_PROCESS, begun = clock_now_ns();
	struct image_writer writer = IMAGE_WRITER_NONE;
	struct page_chain parent;
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
	page_chain_free(&parent);
	if (ret) {
		image_dir_drop(dir, &task->made, 1);
		task->taken = false;
	}
	task->ns = clock_now_ns() - begun;
	return ret;
}

/** struct run_list - what a page server gets of one process */
struct run_list {
	struct pagemap_entry *runs;
	size_t nr, room;
};

static int add_to_list(void *to, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	struct run_list *list = to;

	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 1024;
		struct pagemap_entry *runs = reallocarray(list->runs, room, sizeof(*runs));

		if (!runs)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of pages");
		list->runs = runs;
		list->room = room;
	}
	list->runs[list->nr++] = (struct pagemap_entry){
		.addr = addr, .nr_pages = nr_pages, .flags = PAGEMAP_PRESENT,
	};
	return 0;
}

int predump_task_send(struct predump_task *task, struct page_sender *sender)
{
	const struct page_sender_counts before = sender->counts;
	uint64_t begun = clock_now_ns();
	struct run_list list = { 0 };
	struct walk walk = { .task = task, .add = add_to_list, .to = &list };
	int ret = walk_all(&walk);

	maps_free(&walk.list);
	if (!ret) {
		const struct page_sender_task whole = {
			.backend = task->backend, .pid = task->status.ns_pid,
			.runs = list.runs, .nr_runs = list.nr,
		};

		ret = page_sender_task(sender, &whole, &task->err);
	}
	if (!ret)
		ret = check_same(task);
	free(list.runs);
	task->taken = !ret;
	task->counts = (struct page_counts){
		.copied = sender->counts.copied - before.copied,
		.by_reference = sender->counts.pages - before.pages -
				(sender->counts.copied - before.copied),
		.vanished = sender->counts.gone - before.gone,
	};
	task->ns = clock_now_ns() - begun;
	return ret;
}
