/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Put in front of every file by Kbuild. Wrappers carry the name and the form of
 * the newest kernel's API; each says which kernel changed it. HAVE_* come from
 * compat/probes.
 */
#ifndef SPLICE_VM_COMPAT_H
#define SPLICE_VM_COMPAT_H

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#ifdef HAVE_PTE_IS_MARKER
#include <linux/leafops.h>
#else
#include <linux/swapops.h>
#endif

#ifdef HAVE_GUP_VMAS
/* 6.5 dropped the vmas argument. */
static inline long compat_get_user_pages_remote(struct mm_struct *mm,
						unsigned long start,
						unsigned long nr_pages,
						unsigned int gup_flags,
						struct page **pages,
						int *locked)
{
	return get_user_pages_remote(mm, start, nr_pages, gup_flags, pages,
				     NULL, locked);
}

#define get_user_pages_remote compat_get_user_pages_remote
#endif

#ifndef HAVE_FOLIO_MAPCOUNT_INLINE
/* 6.9 made it inline; before, it is no symbol that modules can reach. */
static inline int compat_folio_mapcount(struct folio *folio)
{
	long i, nr = folio_nr_pages(folio);
	int count;

	if (!folio_test_large(folio))
		return atomic_read(&folio->_mapcount) + 1;
	count = folio_entire_mapcount(folio);
	for (i = 0; i < nr; i++)
		count += atomic_read(&folio_page(folio, i)->_mapcount) + 1;
	if (folio_test_double_map(folio))
		count -= nr;
	return count;
}

#define folio_mapcount compat_folio_mapcount
#endif

#ifndef HAVE_MM_FLAGS_TEST
/* 6.18 made the flags of an mm a bitmap. */
static inline bool compat_mm_flags_test(int flag, const struct mm_struct *mm)
{
	return test_bit(flag, &mm->flags);
}

#define mm_flags_test compat_mm_flags_test
#endif

#ifndef HAVE_VMA_START_WRITE
/* 6.4 brought per-VMA locks: faults before it need mmap_lock, which is held. */
static inline void compat_vma_start_write(struct vm_area_struct *vma)
{
}

#define vma_start_write compat_vma_start_write
#endif

#ifndef HAVE_PTE_IS_MARKER
/* 6.19 gave the software entries of page tables types of their own. */
#define softleaf_t			swp_entry_t
#define softleaf_from_pte(pte)		pte_to_swp_entry(pte)
#define softleaf_from_pmd(pmd)		pmd_to_swp_entry(pmd)
#define softleaf_is_migration(leaf)	is_migration_entry(leaf)
#define softleaf_is_migration_write(leaf) is_writable_migration_entry(leaf)
#ifdef HAVE_POISON_MARKER
#define softleaf_is_poison_marker(leaf)	is_poisoned_swp_entry(leaf)
#else
/* 6.6 brought UFFDIO_POISON, and the same for pages that swap has lost. */
#define softleaf_is_poison_marker(leaf)	((void)(leaf), false)
#endif

static inline bool compat_pte_is_marker(pte_t pte)
{
	return is_pte_marker_entry(pte_to_swp_entry(pte));
}

#define pte_is_marker compat_pte_is_marker
#endif

#ifndef HAVE_PTE_DEVMAP
/* 6.17: DAX has ordinary pages, no page table entry tells. */
#define pte_devmap(pte)	((void)(pte), 0)
#define pmd_devmap(pmd)	((void)(pmd), 0)
#endif

#ifdef HAVE_GENL_MCAST_CAP
#define COMPAT_GENL_MCGRP_ADMIN(group_name) \
	{ .name = group_name, .flags = GENL_MCAST_CAP_NET_ADMIN },
#else
/* 6.7, and stable kernels since; on earlier kernels any user could listen, so there is no group. */
#define COMPAT_GENL_MCGRP_ADMIN(group_name)
#endif

#endif
