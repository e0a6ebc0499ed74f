// SPDX-License-Identifier: GPL-2.0
/*
 * This file reads the page tables of the target by hand: walk_page_range() is not exported. The
 * caller holds the target's mmap_lock. From 6.5 on mmap_lock does not keep page tables of
 * empty ranges from being freed. RCU does; and each table is read under its lock, after a second
 * look at the entry that led to the table.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/swap.h>

#include "walk.h"

/* Entries of upper levels that are passed over in one go: some microseconds. */
#define SPLICE_VM_WALK_STEPS	4096

/*
 * Direct I/O writes to a page by reference, and the page table does not change. A page that is
 * not on an LRU list is in a CPU's batch, which holds one reference. A page in a batch for
 * activation is on an LRU list as well, and looks as if it had an extra reference. The reference
 * count is read on both sides of the other counts: a change in between makes one page too many,
 * not one too few.
 */
static bool splice_vm_folio_has_extra_refs(struct folio *folio)
{
	int refs = folio_ref_count(folio), expected;

	smp_rmb(); /* Against page_remove_rmap() and put_page() elsewhere. */
	expected = folio_mapcount(folio);
	if (folio_test_swapcache(folio))
		expected += folio_nr_pages(folio);
	else if (!folio_test_anon(folio) && READ_ONCE(folio->mapping))
		expected += folio_nr_pages(folio) + folio_test_private(folio);
	if (!folio_test_lru(folio))
		expected++;
	smp_rmb(); /* Against isolation and add_to_swap() elsewhere. */
	return max(refs, folio_ref_count(folio)) > expected;
}

static u8 splice_vm_page_state(struct page *page, unsigned int how)
{
	struct folio *folio = page_folio(page);
	u8 state = SPLICE_VM_STATE_FILE;

	if (folio_test_anon(folio))
		state = SPLICE_VM_STATE_ANON;
	if ((how & SPLICE_VM_WALK_EXTRA_REFS) && splice_vm_folio_has_extra_refs(folio))
		state |= SPLICE_VM_STATE_EXTRA_REFS;
	return state;
}

/**
 * struct splice_vm_folio_memo - state of the folio that was looked at last
 * @folio: or NULL; only compared, never followed
 * @state: of each of its pages
 * @anon: all pages are anonymous, and the caller needs no other state: a look at each
 *	struct page would cost more than all other steps
 *
 * To count the mappings of a huge page the kernel looks at each of its pages: do so once.
 */
struct splice_vm_folio_memo {
	struct folio *folio;
	u8 state;
	bool anon;
};

/* clear_refs would have write-protected an entry that is writable with the bit clear. */
static bool splice_vm_pte_is_written(pte_t pte)
{
	return pte_soft_dirty(pte) || pte_write(pte);
}

static u8 splice_vm_pte_present_state(pte_t pte, unsigned int how,
				      struct splice_vm_folio_memo *memo)
{
	struct page *page;
	u8 state;

	if (is_zero_pfn(pte_pfn(pte))) {
		state = SPLICE_VM_STATE_ZERO;
	} else if (pte_special(pte) || pte_devmap(pte) ||
		   !pfn_valid(pte_pfn(pte))) {
		state = SPLICE_VM_STATE_FILE;
	} else if (memo->anon) {
		state = SPLICE_VM_STATE_ANON;
	} else {
		page = pte_page(pte);
		if (page_folio(page) != memo->folio) {
			memo->folio = page_folio(page);
			memo->state = splice_vm_page_state(page, how);
		}
		state = memo->state;
	}
	return splice_vm_pte_is_written(pte) ? state | SPLICE_VM_STATE_WRITTEN :
					       state;
}

/* A migrating page comes back with the same rights: writable again, it can be written at once. */
static u8 splice_vm_leaf_state(softleaf_t leaf, bool soft_dirty)
{
	u8 state = SPLICE_VM_STATE_SWAPPED;

	if (softleaf_is_migration(leaf))
		state |= SPLICE_VM_STATE_MOVING;
	if (soft_dirty || softleaf_is_migration_write(leaf))
		state |= SPLICE_VM_STATE_WRITTEN;
	return state;
}

static u8 splice_vm_pte_state(pte_t pte, unsigned int how,
			      struct splice_vm_folio_memo *memo)
{
	softleaf_t leaf;

	if (pte_none(pte))
		return 0;
	/* An entry does not say what it points to without its mapping. */
	if (how & SPLICE_VM_WALK_WRITABLE_CLEAN)
		return SPLICE_VM_STATE_WRITTEN;
	if (pte_present(pte))
		return splice_vm_pte_present_state(pte, how, memo);
	leaf = softleaf_from_pte(pte);
	/* A page that was lost does not read as zeros. */
	if (pte_is_marker(pte))
		return softleaf_is_poison_marker(leaf) ?
		       SPLICE_VM_STATE_SWAPPED : 0;
	return splice_vm_leaf_state(leaf, pte_swp_soft_dirty(pte));
}

static u8 splice_vm_pmd_state(struct vm_area_struct *vma, pmd_t pmd,
			      unsigned int how)
{
	u8 state = SPLICE_VM_STATE_HUGE;

	if (how & SPLICE_VM_WALK_WRITABLE_CLEAN)
		return SPLICE_VM_STATE_WRITTEN;
	if (!pmd_present(pmd))
		return state | splice_vm_leaf_state(softleaf_from_pmd(pmd),
						    pmd_swp_soft_dirty(pmd));
	if (pmd_devmap(pmd) || !pfn_valid(pmd_pfn(pmd)))
		state |= SPLICE_VM_STATE_FILE;
	else
		state |= splice_vm_page_state(pmd_page(pmd), how);
	/* Not anonymous in an anonymous mapping: it is the huge zero page. */
	if ((state & SPLICE_VM_STATE_FILE) && vma && vma_is_anonymous(vma))
		state = SPLICE_VM_STATE_HUGE | SPLICE_VM_STATE_ZERO;
	if (pmd_soft_dirty(pmd) || pmd_write(pmd))
		state |= SPLICE_VM_STATE_WRITTEN;
	return state;
}

/*
 * The page middle directory entry of @addr, or NULL with @next set to where
 * the missing upper level ends. Under RCU.
 */
static pmd_t *splice_vm_pmd_find(struct mm_struct *mm, unsigned long addr,
				 unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pudp, pud;

	*next = pgd_addr_end(addr, end);
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	*next = p4d_addr_end(addr, end);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pudp = pud_offset(p4d, addr);
	*next = pud_addr_end(addr, end);
	/*
	 * Huge at this level is hugetlb or DAX: not walked. Read once, as that of DAX goes away
	 * with mmap_lock held for reading; a table stays.
	 */
	pud = READ_ONCE(*pudp);
	if (pud_none(pud) || pud_bad(pud))
		return NULL;
	*next = pmd_addr_end(addr, end);
	return pmd_offset(pudp, addr);
}

/*
 * Whether a write may leave no trace: the entry is writable with the soft-dirty bit clear, or can
 * become so while the kernel is about to change it. In a mapping with VM_SOFTDIRTY (GROWN) such
 * entries come from a read that faults, for NUMA balancing or from swap, and from a userfaultfd
 * whose protection is lifted: do_numa_page(), do_swap_page(), change_pte_range().
 */
static bool splice_vm_pte_is_writable_clean(pte_t pte, unsigned int how)
{
	if (pte_present(pte))
		return !pte_soft_dirty(pte) &&
		       (pte_write(pte) ||
			((how & SPLICE_VM_WALK_GROWN) &&
			 (pte_protnone(pte) || pte_uffd_wp(pte))));
	if (pte_none(pte) || pte_is_marker(pte) || pte_swp_soft_dirty(pte))
		return false;
	return (how & SPLICE_VM_WALK_GROWN) ||
	       softleaf_is_migration_write(softleaf_from_pte(pte));
}

static bool splice_vm_pmd_is_writable_clean(pmd_t pmd, unsigned int how)
{
	if (pmd_present(pmd))
		return !pmd_soft_dirty(pmd) &&
		       (pmd_write(pmd) ||
			((how & SPLICE_VM_WALK_GROWN) &&
			 (pmd_protnone(pmd) || pmd_uffd_wp(pmd))));
	return !pmd_swp_soft_dirty(pmd) &&
	       ((how & SPLICE_VM_WALK_GROWN) ||
		softleaf_is_migration_write(softleaf_from_pmd(pmd)));
}

/*
 * Most entries that the walk looks at belong to unwritten pages. These must cost next to
 * nothing, since the target waits for the snapshot.
 */
static __always_inline bool splice_vm_pte_is_passed_over(pte_t pte,
							 unsigned int how)
{
	if (!how || (how & SPLICE_VM_WALK_EXTRA_REFS))
		return pte_none(pte);
	if (how & SPLICE_VM_WALK_WRITABLE_CLEAN)
		return !splice_vm_pte_is_writable_clean(pte, how);
	return pte_none(pte) ||
	       (pte_present(pte) && !splice_vm_pte_is_written(pte));
}

static __always_inline void
splice_vm_window_read_pte(struct splice_vm_window *win, unsigned int i,
			  pte_t pte, struct splice_vm_folio_memo *memo)
{
	if (splice_vm_pte_is_passed_over(pte, win->how))
		return;
	win->states[i] = splice_vm_pte_state(pte, win->how, memo);
	if (win->states[i])
		__set_bit(i, win->found);
}

static void splice_vm_window_read_ptes(struct vm_area_struct *vma, pmd_t pmd,
				       struct splice_vm_window *win)
{
	pte_t *pte = pte_offset_kernel(&pmd, win->start);
	unsigned int first = splice_vm_chunk_bit(win->start);
	unsigned int end = first + win->nr, i;
	struct splice_vm_folio_memo memo = {
		.anon = vma && vma_is_anonymous(vma) &&
			!(win->how & SPLICE_VM_WALK_EXTRA_REFS),
	};

	if (!win->only) {
		for (i = 0; i < win->nr; i++)
			splice_vm_window_read_pte(win, i, READ_ONCE(pte[i]),
						  &memo);
		return;
	}
	for (i = find_next_bit(win->only, end, first); i < end;
	     i = find_next_bit(win->only, end, i + 1))
		splice_vm_window_read_pte(win, i - first,
					  READ_ONCE(pte[i - first]), &memo);
}

static bool splice_vm_pmd_is_passed_over(pmd_t pmd, unsigned int how)
{
	if (how & SPLICE_VM_WALK_WRITABLE_CLEAN)
		return !splice_vm_pmd_is_writable_clean(pmd, how);
	return (how & SPLICE_VM_WALK_WRITTEN) && pmd_present(pmd) &&
	       !pmd_soft_dirty(pmd) && !pmd_write(pmd);
}

static void splice_vm_window_read_pmd(struct vm_area_struct *vma, pmd_t pmd,
				      struct splice_vm_window *win)
{
	if (splice_vm_pmd_is_passed_over(pmd, win->how))
		return;
	memset(win->states, splice_vm_pmd_state(vma, pmd, win->how), win->nr);
	if (win->only)
		bitmap_shift_right(win->found, win->only,
				   splice_vm_chunk_bit(win->start),
				   SPLICE_VM_CHUNK_PAGES);
	else
		bitmap_fill(win->found, SPLICE_VM_CHUNK_PAGES);
	bitmap_clear(win->found, win->nr, SPLICE_VM_CHUNK_PAGES - win->nr);
}

/* False when the entry changed under us: look again. */
static bool splice_vm_window_read(struct mm_struct *mm,
				  struct vm_area_struct *vma, pmd_t *pmdp,
				  pmd_t pmd, struct splice_vm_window *win)
{
	spinlock_t *ptl; /* of one page table */
	bool same;

	if (!pmd_present(pmd) || pmd_trans_huge(pmd) || pmd_devmap(pmd)) {
		ptl = pmd_lock(mm, pmdp);
		same = pmd_same(pmd, *pmdp);
		if (same)
			splice_vm_window_read_pmd(vma, pmd, win);
		spin_unlock(ptl);
		return same;
	}
	if (pmd_bad(pmd))
		return true;

	ptl = pte_lockptr(mm, &pmd);
	spin_lock(ptl);
	same = pmd_same(pmd, READ_ONCE(*pmdp));
	if (same)
		splice_vm_window_read_ptes(vma, pmd, win);
	spin_unlock(ptl);
	return same;
}

/* @vma may be NULL, when only the entries' own bits matter. */
static bool splice_vm_walk_table(struct mm_struct *mm,
				 struct vm_area_struct *vma,
				 unsigned long start, unsigned long end,
				 struct splice_vm_window *win)
{
	unsigned long next;
	bool table = false;
	pmd_t *pmdp, pmd;

	win->start = start;
	win->nr = (pmd_addr_end(start, end) - start) >> PAGE_SHIFT;
	bitmap_zero(win->found, SPLICE_VM_CHUNK_PAGES);

	rcu_read_lock();
	pmdp = splice_vm_pmd_find(mm, start, end, &next);
	while (pmdp) {
		pmd = READ_ONCE(*pmdp);
		barrier();
		if (pmd_none(pmd))
			break;
		table = true;
		if (splice_vm_window_read(mm, vma, pmdp, pmd, win))
			break;
	}
	rcu_read_unlock();
	return table;
}

/**
 * splice_vm_walk_window() - states of the pages of a mapping in one chunk
 * @vma: the mapping; not hugetlb; mmap_lock of its mm is held
 * @start: first address, page aligned
 * @end: end; the window ends at the chunk's end at the latest
 * @win: how to look, and filled
 *
 * Return: false when no page table is there, so that all of the window is a hole
 */
bool splice_vm_walk_window(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end, struct splice_vm_window *win)
{
	return splice_vm_walk_table(vma->vm_mm, vma, start, end, win);
}

/**
 * splice_vm_walk_writable_clean() - pages in one chunk that may have been written without a trace
 * @mm: the target's; something keeps the page tables of the range: mmap_lock, or for
 *	shared files the lock of their mappings
 * @start: first address, page aligned
 * @end: end; the window ends at the chunk's end at the latest
 * @grown: the mapping has VM_SOFTDIRTY
 * @win: filled; all in @found are such
 */
void splice_vm_walk_writable_clean(struct mm_struct *mm, unsigned long start,
				   unsigned long end, bool grown,
				   struct splice_vm_window *win)
{
	win->how = SPLICE_VM_WALK_WRITABLE_CLEAN;
	if (grown)
		win->how |= SPLICE_VM_WALK_GROWN;
	win->only = NULL;
	splice_vm_walk_table(mm, NULL, start, end, win);
}

/**
 * splice_vm_walk_skip() - pass over addresses that have no page table
 * @mm: the target's; mmap_lock is held
 * @addr: start here, in a mapping
 * @end: stop here, in the same mapping: tables outside of mappings are freed while
 *	munmap holds mmap_lock for reading only
 *
 * Return: first address at or above @addr that may have a page table, or @end. It has
 * none where the way there was long: callers go on from there, and yield in between
 */
unsigned long splice_vm_walk_skip(struct mm_struct *mm, unsigned long addr,
				  unsigned long end)
{
	unsigned int steps = SPLICE_VM_WALK_STEPS;
	unsigned long next;
	pmd_t *pmdp;

	rcu_read_lock();
	while (addr < end && steps--) {
		pmdp = splice_vm_pmd_find(mm, addr, end, &next);
		if (pmdp && !pmd_none(READ_ONCE(*pmdp)))
			break;
		addr = next;
	}
	rcu_read_unlock();
	return addr;
}
