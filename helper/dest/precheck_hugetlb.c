// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include "base/text.h"
#include "dest/precheck_hugetlb.h"

#define SIZES_MAX	2	/* of x86 */

const char *precheck_hugetlb_dir = "/sys/kernel/mm/hugepages";

static bool is_huge(const Migrate__Vma *vma)
{
	return vma->has_huge_kib && vma->huge_kib && vma->end > vma->start;
}

static uint64_t pool_number(uint32_t kib, const char *name)
{
	char path[PATH_MAX];
	uint64_t number = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/hugepages-%" PRIu32 "kB/%s", precheck_hugetlb_dir, kib,
		 name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* A page that is promised to a mapping counts as free until it is touched. */
static uint64_t pool_free(uint32_t kib)
{
	uint64_t free = pool_number(kib, "free_hugepages");
	uint64_t promised = pool_number(kib, "resv_hugepages");
	uint64_t more = pool_number(kib, "nr_overcommit_hugepages");
	uint64_t surplus = pool_number(kib, "surplus_hugepages");

	free += more > surplus ? more - surplus : 0;
	return free > promised ? free - promised : 0;
}

/* Of the other processes. */
static uint64_t others_bytes(const Migrate__Setup *setup, uint32_t kib)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < setup->n_huge_pages && i < SIZES_MAX; i++)
		if (setup->huge_pages[i]->kib == kib)
			bytes += setup->huge_pages[i]->bytes;
	return bytes;
}

static void check_size(const Migrate__Setup *setup, uint32_t kib, struct refusals *refusals)
{
	uint64_t needed = others_bytes(setup, kib) / 1024 / kib, free = pool_free(kib);

	for (size_t i = 0; i < setup->n_vmas; i++) {
		const Migrate__Vma *vma = setup->vmas[i];

		if (is_huge(vma) && vma->huge_kib == kib)
			needed += ((vma->end - vma->start) >> 10) / kib;
	}
	if (needed > free)
		precheck_refuse(refusals,
				"the program needs %s of %" PRIu32 " KiB, and here are %" PRIu64
				" free: raise nr_hugepages in /sys/kernel/mm/hugepages/hugepages-%" PRIu32 "kB",
				text_count(needed, "huge page", "huge pages").text, kib, free, kib);
}

/** struct sizes - of huge pages, in KiB, each once; a peer may tell of any number */
struct sizes {
	uint32_t kib[SIZES_MAX];
	size_t nr;
};

static void add_size(struct sizes *sizes, uint32_t kib)
{
	for (size_t i = 0; i < sizes->nr; i++)
		if (sizes->kib[i] == kib)
			return;
	if (kib && sizes->nr < SIZES_MAX)
		sizes->kib[sizes->nr++] = kib;
}

/* A source that tells of more sizes is not told what is free. */
void precheck_hugetlb(const Migrate__Setup *setup, struct refusals *refusals)
{
	struct sizes sizes = { .nr = 0 };

	for (size_t i = 0; i < setup->n_vmas; i++)
		if (is_huge(setup->vmas[i]))
			add_size(&sizes, setup->vmas[i]->huge_kib);
	for (size_t i = 0; i < setup->n_huge_pages; i++)
		add_size(&sizes, setup->huge_pages[i]->kib);
	for (size_t i = 0; i < sizes.nr; i++)
		check_size(setup, sizes.kib[i], refusals);
}

uint64_t precheck_hugetlb_bytes(const Migrate__Setup *setup)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < setup->n_vmas; i++)
		if (is_huge(setup->vmas[i]) && !setup->vmas[i]->shared)
			bytes += setup->vmas[i]->end - setup->vmas[i]->start;
	for (size_t i = 0; i < setup->n_huge_pages && i < SIZES_MAX; i++)
		bytes += setup->huge_pages[i]->bytes;
	return bytes;
}
