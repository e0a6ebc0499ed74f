/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_RANGES_H
#define SPLICE_VM_RANGES_H

#include <linux/mm.h>

/* A chunk is what one page table maps, so that a walk fills it in one go. */
#define SPLICE_VM_CHUNK_SHIFT	PMD_SHIFT
#define SPLICE_VM_CHUNK_SIZE	PMD_SIZE
#define SPLICE_VM_CHUNK_PAGES	PTRS_PER_PTE

/**
 * struct splice_vm_range - a range of addresses
 * @start: first byte, page aligned
 * @end: byte after the last, page aligned
 */
struct splice_vm_range {
	unsigned long start;
	unsigned long end;
};

#define SPLICE_VM_RECORD_RANGES	1024

/**
 * struct splice_vm_range_set - ranges in no order, may overlap; locked by whose it is
 * @ranges: when they are full the last one grows over what lies between
 * @nr: how many
 */
struct splice_vm_range_set {
	struct splice_vm_range ranges[SPLICE_VM_RECORD_RANGES];
	unsigned int nr;
};

/* Which page of its chunk an address is in. */
static inline unsigned int splice_vm_chunk_bit(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) & (SPLICE_VM_CHUNK_PAGES - 1);
}

bool splice_vm_ranges_add(struct splice_vm_range_set *set,
			  unsigned long start, unsigned long end);
bool splice_vm_ranges_touch(const struct splice_vm_range_set *set,
			    unsigned long start, unsigned long end);
void splice_vm_ranges_collect(const struct splice_vm_range_set *set,
			      unsigned long base, unsigned long *pages);
void splice_vm_ranges_cut(struct splice_vm_range_set *set, unsigned long start,
			  unsigned long end);

#endif
