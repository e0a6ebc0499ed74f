// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "criu/criu.h"
#include "criu/image.h"
#include "criu/opens.h"
#include "images.pb-c.h"

/* VmaEntry.status */
#define STATUS_VSYSCALL		(1U << 2)
#define STATUS_VDSO		(1U << 3)
#define STATUS_VVAR		(1U << 12)
#define STATUS_SPECIAL		(STATUS_VSYSCALL | STATUS_VDSO | STATUS_VVAR)

#define TASK_STATE_ALIVE	1
#define TASK_STATE_STOPPED	3

#define RSEQ_BYTES_MAX		PAGE_BYTES

static int task_read_vma(const Img__VmaEntry *from, struct vma *vma, struct error *err)
{
	if (from->start % PAGE_BYTES || from->end % PAGE_BYTES || from->start >= from->end ||
	    from->end > USER_END)
		return error_set(err, CODE_CRIU, NULL,
				 "the images have a bad mapping: %#" PRIx64 "-%#" PRIx64,
				 from->start, from->end);
	vma->start = from->start;
	vma->end = from->end;
	vma->prot = from->prot;
	vma->shared = from->flags & MAP_SHARED;
	vma->anon = from->flags & MAP_ANONYMOUS;
	vma->hugetlb = from->flags & MAP_HUGETLB;
	vma->locked = from->flags & MAP_LOCKED;
	vma->growsdown = from->flags & MAP_GROWSDOWN;
	vma->special = from->status & STATUS_SPECIAL;
	vma->name = strdup("");
	return vma->name ? 0 : error_set(err, CODE_INTERNAL, NULL, "no memory for mappings");
}

/* The condition by which CRIU's restore registers a mapping with the userfaultfd. */
static bool vma_can_be_lazy(const struct vma *vma, uint32_t flags)
{
	return vma->anon && (flags & MAP_PRIVATE) && !vma->locked && !vma->special &&
	       !vma->hugetlb;
}

static int task_read_vmas(struct criu_task *task, const Img__MmEntry *mm, struct error *err)
{
	struct vma_list *list = &task->vmas;

	list->vmas = calloc(mm->n_vmas + 1, sizeof(*list->vmas));
	task->lazyable = calloc(mm->n_vmas + 1, sizeof(*task->lazyable));
	if (!list->vmas || !task->lazyable)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for mappings");
	for (size_t i = 0; i < mm->n_vmas; i++) {
		struct vma *vma = &list->vmas[list->nr];

		if (mm->vmas[i]->fdflags & CRIU_FLAGS_MAKE)
			return error_set(err, CODE_REFUSED, NULL, "the images would have CRIU make or empty a file that is mapped at %#" PRIx64,
					 mm->vmas[i]->start);
		/* [vsyscall] has no memory of the task */
		if (mm->vmas[i]->start >= USER_END)
			continue;
		if (task_read_vma(mm->vmas[i], vma, err))
			return -1;
		list->nr++;
		if (list->nr > 1 && vma->start < vma[-1].end)
			return error_set(err, CODE_CRIU, NULL,
					 "mappings of the images are out of order at %#" PRIx64,
					 vma->start);
		task->lazyable[list->nr - 1] = vma_can_be_lazy(vma, mm->vmas[i]->flags);
	}
	return 0;
}

static int task_read_mm(int dir_fd, struct criu_task *task, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	int ret;

	snprintf(name, sizeof(name), "mm-%d.img", task->pid);
	if (image_read_one(dir_fd, name, IMAGE_MM, &img__mm_entry__descriptor, &msg, err))
		return -1;
	ret = task_read_vmas(task, (Img__MmEntry *)msg, err);
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int task_add_rseq(struct criu_task *task, const Img__RseqEntry *rseq, struct error *err)
{
	struct criu_area *area = &task->rseq[task->nr_rseq];

	if (!rseq->rseq_abi_pointer || !rseq->rseq_abi_size)
		return 0;
	if (rseq->rseq_abi_size > RSEQ_BYTES_MAX ||
	    rseq->rseq_abi_pointer > USER_END - rseq->rseq_abi_size)
		return error_set(err, CODE_CRIU, NULL, "the images have a bad rseq area");
	area->addr = rseq->rseq_abi_pointer;
	area->bytes = rseq->rseq_abi_size;
	task->nr_rseq++;
	return 0;
}

static int itimer_read(const Img__Itimer *from, struct itimerval *timer, struct error *err)
{
	if (from->interval_sec > INT64_MAX || from->interval_usec >= 1000000 ||
	    from->value_sec > INT64_MAX || from->value_usec >= 1000000)
		return error_set(err, CODE_CRIU, NULL, "the images have a bad interval timer");
	timer->it_interval.tv_sec = from->interval_sec;
	timer->it_interval.tv_usec = from->interval_usec;
	timer->it_value.tv_sec = from->value_sec;
	timer->it_value.tv_usec = from->value_usec;
	return 0;
}

static int task_read_itimers(struct criu_task *task, const Img__TaskTimers *from,
			     struct error *err)
{
	return itimer_read(from->real, &task->itimers[ITIMER_REAL], err) ||
	       itimer_read(from->virt, &task->itimers[ITIMER_VIRTUAL], err) ||
	       itimer_read(from->prof, &task->itimers[ITIMER_PROF], err) ? -1 : 0;
}

static int task_add_core(struct criu_task *task, pid_t tid, const Img__CoreEntry *core,
			 struct error *err)
{
	if (tid == task->pid) {
		uint32_t state = core->tc ? core->tc->task_state : 0;

		if (state != TASK_STATE_ALIVE && state != TASK_STATE_STOPPED)
			return error_set(err, CODE_CRIU, NULL,
					 "task %d is in state %u in the images", tid, state);
		task->was_stopped = state == TASK_STATE_STOPPED;
		if (core->tc->timers && task_read_itimers(task, core->tc->timers, err))
			return -1;
	}
	if (core->thread_info && core->thread_info->gpregs->has_sp)
		task->stacks[task->nr_stacks++] = core->thread_info->gpregs->sp;
	if (core->thread_core && core->thread_core->rseq_entry)
		return task_add_rseq(task, core->thread_core->rseq_entry, err);
	return 0;
}

static int task_read_thread(int dir_fd, struct criu_task *task, pid_t tid, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	int ret;

	snprintf(name, sizeof(name), "core-%d.img", tid);
	if (image_read_one(dir_fd, name, IMAGE_CORE, &img__core_entry__descriptor, &msg, err))
		return -1;
	ret = task_add_core(task, tid, (Img__CoreEntry *)msg, err);
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int task_read_threads(int dir_fd, struct criu_task *task,
			     const Img__PstreeEntry *tree, struct error *err)
{
	bool leader = false;

	task->rseq = calloc(tree->n_threads + 1, sizeof(*task->rseq));
	task->tids = calloc(tree->n_threads + 1, sizeof(*task->tids));
	task->stacks = calloc(tree->n_threads + 1, sizeof(*task->stacks));
	if (!task->rseq || !task->tids || !task->stacks)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for threads");
	for (size_t i = 0; i < tree->n_threads; i++) {
		leader |= (pid_t)tree->threads[i] == task->pid;
		task->tids[i] = tree->threads[i];
		if (task_read_thread(dir_fd, task, tree->threads[i], err))
			return -1;
	}
	if (!leader)
		return error_set(err, CODE_CRIU, NULL, "the images have no first thread");
	task->nr_threads = tree->n_threads;
	return 0;
}

/* The image of a tree of thousands is read for each of them. Return: as image_next() */
static int next_like(struct image *image, pid_t pid, ProtobufCMessage **msg, struct error *err)
{
	image_skip_others(image, pid);
	return image_next(image, &img__pstree_entry__descriptor, msg, err);
}

/* Return: the record of task @pid, or NULL with @err */
static Img__PstreeEntry *task_find(int dir_fd, pid_t pid, struct error *err)
{
	Img__PstreeEntry *found = NULL;
	ProtobufCMessage *msg;
	struct image image;

	if (image_open(&image, dir_fd, "pstree.img", IMAGE_PSTREE, err))
		return NULL;
	while (!found && next_like(&image, pid, &msg, err) > 0) {
		if ((pid_t)((Img__PstreeEntry *)msg)->pid == pid)
			found = (Img__PstreeEntry *)msg;
		else
			protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
	if (!found && !error_is_set(err))
		error_set(err, CODE_CRIU, NULL, "the images have no task %d", pid);
	return found;
}

int criu_task_read(int images_dir_fd, pid_t pid, struct criu_task *task, struct error *err)
{
	Img__PstreeEntry *tree;
	int ret;

	memset(task, 0, sizeof(*task));
	tree = task_find(images_dir_fd, pid, err);
	if (!tree)
		return -1;
	task->pid = tree->pid;
	ret = task_read_threads(images_dir_fd, task, tree, err);
	if (!ret)
		ret = task_read_mm(images_dir_fd, task, err);
	img__pstree_entry__free_unpacked(tree, NULL);
	if (ret)
		criu_task_free(task);
	return ret;
}

void criu_task_free(struct criu_task *task)
{
	maps_free(&task->vmas);
	free(task->lazyable);
	free(task->rseq);
	free(task->tids);
	free(task->stacks);
	memset(task, 0, sizeof(*task));
}

void criu_task_mask(const struct criu_task *task, uint64_t addr, uint8_t *buf, uint64_t bytes)
{
	for (size_t i = 0; i < task->nr_rseq; i++) {
		uint64_t from = task->rseq[i].addr, to = from + task->rseq[i].bytes;

		if (from < addr)
			from = addr;
		if (to > addr + bytes)
			to = addr + bytes;
		if (from < to)
			memset(buf + (from - addr), 0, to - from);
	}
}

int criu_task_add_rseq(const struct criu_task *task, struct page_set *pages, struct error *err)
{
	for (size_t i = 0; i < task->nr_rseq; i++) {
		uint64_t first = task->rseq[i].addr >> PAGE_SHIFT;
		uint64_t last = (task->rseq[i].addr + task->rseq[i].bytes - 1) >> PAGE_SHIFT;

		if (page_set_add(pages, first << PAGE_SHIFT, last - first + 1, err))
			return -1;
	}
	return 0;
}
