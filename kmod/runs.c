// SPDX-License-Identifier: GPL-2.0
/* Lists of runs, the answers of SCAN and SEND, before they are copied to the caller. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "runs.h"

/* The caller chose the size: that there is no room is for it to hear, not for the log. */
static struct splice_vm_run *splice_vm_runs_alloc(unsigned int nr)
{
	return kvmalloc_array(nr, sizeof(struct splice_vm_run),
			      GFP_KERNEL | __GFP_NOWARN);
}

/**
 * splice_vm_runs_init() - an empty list
 * @runs: to be freed with splice_vm_runs_free(), whatever this returns
 * @cap: have memory for so many
 * @max: the most that it may grow to
 *
 * Sleeps. Return: 0 or -ENOMEM
 */
int splice_vm_runs_init(struct splice_vm_runs *runs, unsigned int cap,
			unsigned int max)
{
	*runs = (struct splice_vm_runs){
		.v = splice_vm_runs_alloc(cap),
		.cap = cap,
		.max = max,
	};
	return runs->v ? 0 : -ENOMEM;
}

/**
 * splice_vm_runs_push() - a run of its own
 * @runs: the list
 * @addr: of its first page
 * @nr_pages: pages
 * @flags: SPLICE_VM_RUN_*
 *
 * Return: false when there is no room
 */
bool splice_vm_runs_push(struct splice_vm_runs *runs, u64 addr, u32 nr_pages,
			 u32 flags)
{
	if (runs->nr == runs->cap)
		return false;
	runs->v[runs->nr++] = (struct splice_vm_run){
		.addr = addr,
		.nr_pages = nr_pages,
		.flags = flags,
	};
	return true;
}

/**
 * splice_vm_runs_add() - a run, or more of the last one
 * @runs: the list
 * @addr: of its first page
 * @nr_pages: pages
 * @flags: SPLICE_VM_RUN_*
 *
 * Return: false when there is no room
 */
bool splice_vm_runs_add(struct splice_vm_runs *runs, u64 addr, u32 nr_pages,
			u32 flags)
{
	struct splice_vm_run *last = NULL;

	if (runs->nr)
		last = &runs->v[runs->nr - 1];
	if (last && last->flags == flags &&
	    nr_pages <= U32_MAX - last->nr_pages &&
	    last->addr + ((u64)last->nr_pages << PAGE_SHIFT) == addr) {
		last->nr_pages += nr_pages;
		return true;
	}
	return splice_vm_runs_push(runs, addr, nr_pages, flags);
}

/**
 * splice_vm_runs_grow() - have memory for as many as there may be
 * @runs: the list
 *
 * Sleeps. Return: false when there may be no more, or is no memory
 */
bool splice_vm_runs_grow(struct splice_vm_runs *runs)
{
	struct splice_vm_run *v;

	if (runs->cap == runs->max)
		return false;
	v = splice_vm_runs_alloc(runs->max);
	if (!v)
		return false;
	memcpy(v, runs->v, runs->nr * sizeof(*v));
	kvfree(runs->v);
	runs->v = v;
	runs->cap = runs->max;
	return true;
}

void splice_vm_runs_free(struct splice_vm_runs *runs)
{
	kvfree(runs->v);
}
