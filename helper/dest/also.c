// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "dest/also.h"
#include "dest/late_pages.h"
#include "wire/stream.h"

/* Sharers that the runs of one list may look at: 2048 of them at 8192 runs. What is left then is asked for. */
#define LOOKS_MAX	(1UL << 24)

/** struct also_sharer - runs [@first, @first + @nr) of struct also: what has not come yet */
struct also_sharer {
	struct mm *mm;
	uint32_t first, nr;
};

static void forget(struct also *also)
{
	also->nr_sharers = also->nr_runs = 0;
	also->looks = 0;
	also->came = false;
}

void also_free(struct also *also)
{
	free(also->sharers);
	free(also->runs);
	memset(also, 0, sizeof(*also));
}

static int reserve(struct also *also, struct error *err)
{
	if (!also->sharers)
		also->sharers = malloc(OBJECTS_MAX * sizeof(*also->sharers));
	if (!also->runs)
		also->runs = malloc(FRAME_ALSO_RUNS_MAX * sizeof(*also->runs));
	return also->sharers && also->runs ? 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "no memory for pages of several processes");
}

int also_add(struct also *also, struct mm *giver, struct mm *mm, const struct splice_vm_run *runs,
	     uint32_t nr_runs, struct error *err)
{
	if (reserve(also, err))
		return -1;
	if (also->came || also->giver != giver || also->nr_sharers == OBJECTS_MAX ||
	    also->nr_runs + nr_runs > FRAME_ALSO_RUNS_MAX)
		forget(also);
	also->giver = giver;
	also->sharers[also->nr_sharers++] = (struct also_sharer){ mm, also->nr_runs, nr_runs };
	memcpy(also->runs + also->nr_runs, runs, nr_runs * sizeof(*runs));
	also->nr_runs += nr_runs;
	return 0;
}

static uint64_t end_of(const struct splice_vm_run *run)
{
	return run->addr + run->nr_pages * PAGE_BYTES;
}

/* Return: index of the first run that ends behind @addr */
static uint32_t run_after(const struct splice_vm_run *runs, uint32_t nr, uint64_t addr)
{
	uint32_t low = 0, high = nr;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (end_of(&runs[mid]) <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * [@from, @to) of @part has come, and is not named any more: a source cannot have the same pages applied again and
 * again by a frame of a few bytes. Of two pieces that are left the first is forgotten: what comes, comes in order.
 */
static void cut(struct splice_vm_run *part, uint64_t from, uint64_t to)
{
	uint64_t end = end_of(part);

	if (to == end && from > part->addr) {
		part->nr_pages = (from - part->addr) / PAGE_BYTES;
	} else {
		part->addr = to;
		part->nr_pages = (end - to) / PAGE_BYTES;
	}
}

/* One of which all has come is looked at no more. */
static void skip_done(const struct also *also, struct also_sharer *sharer)
{
	while (sharer->nr && !also->runs[sharer->first].nr_pages) {
		sharer->first++;
		sharer->nr--;
	}
}

static int sharer_take(const struct also *also, struct also_sharer *sharer,
		       const struct splice_vm_run *run, const uint8_t *data, bool urgent, struct error *err)
{
	struct splice_vm_run *runs = also->runs + sharer->first;
	uint32_t i = run_after(runs, sharer->nr, run->addr);

	for (; i < sharer->nr && runs[i].addr < end_of(run); i++) {
		uint64_t from = runs[i].addr > run->addr ? runs[i].addr : run->addr;
		uint64_t to = end_of(&runs[i]) < end_of(run) ? end_of(&runs[i]) : end_of(run);

		if (from >= to)
			continue;
		cut(&runs[i], from, to);
		if (late_pages_take(sharer->mm, from, (to - from) / PAGE_BYTES,
				    data ? data + (from - run->addr) : NULL, urgent, err))
			return -1;
	}
	skip_done(also, sharer);
	return 0;
}

int also_take(struct also *also, const struct mm *giver, const struct splice_vm_run *run,
	      const void *data, bool urgent, struct error *err)
{
	if (giver != also->giver)
		return 0;
	also->came = true;
	also->looks += also->nr_sharers;
	if (also->looks > LOOKS_MAX)
		also->nr_sharers = 0;
	for (uint32_t i = 0; i < also->nr_sharers; i++)
		if (sharer_take(also, &also->sharers[i], run, data, urgent, err))
			return -1;
	return 0;
}
