// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "backend/run_list.h"
#include "pages/sets.h"
#include "source/mm.h"

void source_mm_init(struct source_mm *mm, uint32_t object, pid_t pid)
{
	memset(mm, 0, sizeof(*mm));
	mm->object = object;
	mm->pid = pid;
	mm->pagemap_fd = -1;
	pthread_mutex_init(&mm->unsent_lock, NULL);
}

void source_mm_destroy(struct source_mm *mm)
{
	backend_close(mm->backend);
	if (mm->pagemap_fd >= 0)
		close(mm->pagemap_fd);
	maps_free(&mm->vmas);
	page_set_destroy(&mm->dirty);
	page_set_destroy(&mm->later);
	hot_destroy(&mm->hot);
	page_set_destroy(&mm->dest_current);
	page_set_destroy(&mm->populated);
	page_set_destroy(&mm->common);
	page_set_destroy(&mm->unsent);
	page_set_destroy(&mm->answered);
	pthread_mutex_destroy(&mm->unsent_lock);
}

int source_mm_read_vmas(struct source_mm *mm, struct error *err)
{
	struct vma_list now;

	if (maps_read(mm->pid, true, &now, err))
		return -1;
	maps_free(&mm->vmas);
	mm->vmas = now;
	return 0;
}

static bool same_vmas(const struct vma_list *a, const struct vma_list *b)
{
	bool same = a->nr == b->nr;

	for (size_t i = 0; i < a->nr && same; i++)
		same = a->vmas[i].start == b->vmas[i].start && a->vmas[i].end == b->vmas[i].end &&
		       a->vmas[i].prot == b->vmas[i].prot &&
		       a->vmas[i].shared == b->vmas[i].shared &&
		       !strcmp(a->vmas[i].name, b->vmas[i].name);
	return same;
}

int source_mm_follow_vmas(struct source_mm *mm, bool *changed, struct error *err)
{
	struct vma_list now;

	if (maps_read(mm->pid, false, &now, err))
		return -1;
	*changed = !same_vmas(&now, &mm->vmas);
	maps_free(&now);
	return *changed ? source_mm_read_vmas(mm, err) : 0;
}

void source_mm_filter_dirty(struct source_mm *mm, const struct vma_list *vmas)
{
	uint64_t at = 0;

	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (!vma_is_ours(vma))
			continue;
		page_set_remove(&mm->dirty, at, (vma->start - at) >> PAGE_SHIFT);
		at = vma->end;
	}
	page_set_remove(&mm->dirty, at, (USER_END - at) >> PAGE_SHIFT);
}

void source_mm_clear_dirty(struct source_mm *mm)
{
	page_set_remove(&mm->dirty, 0, USER_END >> PAGE_SHIFT);
}

int source_mm_end_round(struct source_mm *mm, struct error *err)
{
	source_mm_clear_dirty(mm);
	if (sets_copy(&mm->dirty, &mm->later, err))
		return -1;
	sets_clear(&mm->later);
	return 0;
}

int source_mm_take(struct source_mm *mm, const struct splice_vm_run *taken, struct error *err)
{
	uint64_t end = taken->addr + taken->nr_pages * PAGE_BYTES, at;
	struct run run;

	for (at = taken->addr; page_set_next(&mm->dest_current, at, end, 0, &run); at = run_end(&run))
		if (page_set_add(&mm->dirty, run.addr, run.nr_pages, err))
			return -1;
	for (at = taken->addr; at < end; at = run_end(&run)) {
		if (!page_set_next(&mm->dirty, at, end, 0, &run))
			run = (struct run){ .addr = end };
		if (run.addr > at &&
		    page_set_add(&mm->later, at, (run.addr - at) >> PAGE_SHIFT, err))
			return -1;
	}
	return 0;
}

static int put_off_all(struct source_mm *mm, uint64_t at, uint64_t end, struct error *err)
{
	struct run run;

	for (; page_set_next(&mm->dirty, at, end, 0, &run); at = run_end(&run)) {
		if (page_set_add(&mm->later, run.addr, run.nr_pages, err))
			return -1;
		page_set_remove(&mm->dirty, run.addr, run.nr_pages);
	}
	return 0;
}

/* The first mapping that ends behind @addr. */
static size_t first_vma(const struct vma_list *list, uint64_t addr)
{
	size_t low = 0, high = list->nr;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (list->vmas[middle].end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int source_mm_put_off(struct source_mm *mm, uint64_t start, uint64_t end, struct error *err)
{
	const struct vma_list *list = &mm->vmas;
	uint64_t at = start;

	for (size_t i = first_vma(list, start); i < list->nr && list->vmas[i].start < end; i++) {
		const struct vma *vma = &list->vmas[i];

		if (!vma_is_ours(vma))
			continue;
		if (put_off_all(mm, at, vma->start, err))
			return -1;
		at = vma->end;
	}
	return put_off_all(mm, at, end, err);
}

int source_mm_put_off_hot(struct source_mm *mm, uint64_t start, uint64_t end, uint64_t *nr, struct error *err)
{
	uint64_t before = mm->dirty.nr, at = start;
	struct run run;

	for (; sets_next_both(&mm->dirty, &mm->hot.pages, at, end, 0, &run); at = run_end(&run))
		if (put_off_all(mm, run.addr, run_end(&run), err))
			return -1;
	*nr = before - mm->dirty.nr;
	return 0;
}

uint64_t source_mm_pages_with(const struct source_mm *mm, const struct page_set *more)
{
	return mm->dest_current.nr + more->nr - page_set_common(&mm->dest_current, more);
}

static int take_populated(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			  struct error *err)
{
	struct source_mm *mm = ctx;

	for (uint32_t i = 0; i < nr; i++) {
		/* the file's own pages and zeros come by themselves */
		if (runs[i].flags & (SPLICE_VM_RUN_FILE | SPLICE_VM_RUN_ZERO))
			continue;
		if (page_set_add(&mm->populated, runs[i].addr, runs[i].nr_pages, err) ||
		    (runs[i].flags & BACKEND_RUN_COMMON &&
		     page_set_add(&mm->common, runs[i].addr, runs[i].nr_pages, err)))
			return -1;
	}
	return 0;
}

/* One page of each run: the pages of a mapping are all readable, or none is. */
static int try_to_read(struct source_mm *mm, const struct vma *vma, struct error *err)
{
	uint64_t at = vma->start;
	uint8_t page[PAGE_BYTES];
	struct run run;
	size_t done;

	for (; page_set_next(&mm->populated, at, vma->end, 0, &run);
	     at = run.addr + (run.nr_pages << PAGE_SHIFT)) {
		if (mm->backend->ops->read(mm->backend, run.addr, page, PAGE_BYTES, &done, err))
			return -1;
		if (done != PAGE_BYTES)
			return error_set(err, CODE_REFUSED,
					 "load the module, or boot with proc_mem.force_override=always",
					 "memory that the program itself must not read, at 0x%lx, can be read by its tracer alone",
					 run.addr);
	}
	return 0;
}

static int look_unreadable(struct source_mm *mm, struct error *err)
{
	for (size_t i = 0; i < mm->frozen_vmas->nr; i++) {
		const struct vma *vma = &mm->frozen_vmas->vmas[i];

		if (vma_is_ours(vma) && !(vma->prot & PROT_READ) && try_to_read(mm, vma, err))
			return -1;
	}
	return 0;
}

/* One call of the kernel for mappings that lie side by side: some programs have thousands. */
int source_mm_freeze(struct source_mm *mm, const struct vma_list *list, struct error *err)
{
	size_t i = 0;

	mm->frozen_vmas = list;
	mm->knows_common = mm->backend->tells_common;
	while (i < list->nr) {
		uint64_t start = list->vmas[i].start, end = start;

		for (; i < list->nr && list->vmas[i].start == end && vma_is_ours(&list->vmas[i]); i++)
			end = list->vmas[i].end;
		if (end == start)
			i++;
		else if (mm->backend->ops->populated(mm->backend, start, end, take_populated, mm,
						     err))
			return -1;
	}
	return look_unreadable(mm, err);
}

int source_mm_find_unsent(struct source_mm *mm, struct error *err)
{
	struct run run, current;
	uint64_t at = 0;
	int ret = 0;

	pthread_mutex_lock(&mm->unsent_lock);
	while (!ret && page_set_next(&mm->populated, at, USER_END, 0, &run)) {
		uint64_t end = run.addr + (run.nr_pages << PAGE_SHIFT), from = run.addr;

		ret = page_set_add(&mm->unsent, run.addr, run.nr_pages, err);
		while (page_set_next(&mm->dest_current, from, end, 0, &current)) {
			page_set_remove(&mm->unsent, current.addr, current.nr_pages);
			from = current.addr + (current.nr_pages << PAGE_SHIFT);
		}
		at = end;
	}
	pthread_mutex_unlock(&mm->unsent_lock);
	return ret;
}

uint32_t source_mm_take_unsent(struct source_mm *mm, uint64_t *at, struct splice_vm_run *runs,
			       uint32_t max_runs, uint64_t max_pages, uint64_t *still)
{
	uint32_t nr;

	pthread_mutex_lock(&mm->unsent_lock);
	nr = runs_take(&mm->unsent, at, runs, max_runs, max_pages);
	for (uint32_t i = 0; i < nr; i++)
		page_set_remove(&mm->unsent, runs[i].addr, runs[i].nr_pages);
	if (still)
		*still = mm->unsent.nr;
	pthread_mutex_unlock(&mm->unsent_lock);
	return nr;
}

uint32_t source_mm_look_unsent(struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr,
			       struct splice_vm_run *found, uint32_t max)
{
	uint32_t nr_found = 0;
	struct run run;

	pthread_mutex_lock(&mm->unsent_lock);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t at = runs[i].addr, end = at + ((uint64_t)runs[i].nr_pages << PAGE_SHIFT);

		for (; nr_found < max && page_set_next(&mm->unsent, at, end, 0, &run);
		     at = run.addr + (run.nr_pages << PAGE_SHIFT))
			found[nr_found++] = (struct splice_vm_run){
				.addr = run.addr, .nr_pages = run.nr_pages,
			};
	}
	pthread_mutex_unlock(&mm->unsent_lock);
	return nr_found;
}

int source_mm_add_sent(struct source_mm *mm, uint64_t start, uint64_t end, struct page_set *sent,
		       struct error *err)
{
	struct run run;
	int ret = 0;

	pthread_mutex_lock(&mm->unsent_lock);
	for (uint64_t at = start; !ret && sets_next_only(&mm->populated, &mm->unsent, at, end, 0, &run);
	     at = run_end(&run))
		ret = page_set_add(sent, run.addr, run.nr_pages, err);
	pthread_mutex_unlock(&mm->unsent_lock);
	return ret;
}

void source_mm_claim(struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr)
{
	pthread_mutex_lock(&mm->unsent_lock);
	for (uint32_t i = 0; i < nr; i++)
		page_set_remove(&mm->unsent, runs[i].addr, runs[i].nr_pages);
	pthread_mutex_unlock(&mm->unsent_lock);
}

bool source_mm_claim_part(struct source_mm *mm, struct splice_vm_run *run)
{
	uint64_t end = run->addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);
	struct run first;
	bool any, ret;

	pthread_mutex_lock(&mm->unsent_lock);
	any = page_set_next(&mm->unsent, run->addr, end, 0, &first);
	ret = any && first.addr == run->addr;
	if (ret) {
		page_set_remove(&mm->unsent, first.addr, first.nr_pages);
		run->nr_pages = first.nr_pages;
	} else if (any) {
		run->nr_pages = (first.addr - run->addr) >> PAGE_SHIFT;
	}
	pthread_mutex_unlock(&mm->unsent_lock);
	return ret;
}

bool source_mm_is_sent_as_pages(const struct source_mm *mm, const struct splice_vm_run *run)
{
	uint64_t addr = run->addr, end = addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);

	while (addr < end) {
		const struct vma *vma = maps_find(mm->frozen_vmas, addr);

		/* of a vdso the destination writes images */
		if (!vma || !(vma_is_ours(vma) || vma->special))
			return false;
		addr = vma->end;
	}
	return true;
}
