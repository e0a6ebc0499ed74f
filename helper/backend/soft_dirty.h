/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tracker without the module: finds the pages that a program wrote since the last look, by
 * pagemap.
 *
 * While the program stands, each look reads an entry for each page, and clears the soft-dirty bits
 * through clear_refs. A page counts as written when its soft-dirty bit is set, or when another frame is
 * behind it than at the last look. This is why both are needed:
 *
 * - Reading and clearing are two steps. A write to a page between them would be lost, so the program
 *   is frozen for both.
 * - KSM puts a shared frame, without the bit, in place of a written page. mremap() moves a whole
 *   page table with its bits, and the mappings may look the same afterwards. In both cases the
 *   frame differs.
 * - Direct I/O writes into a frame that it took before the bit was cleared, and sets no bit;
 *   clear_refs clears the bit of a pinned huge page. A thread in such a system call does not count
 *   as frozen until the call has ended: no I/O of the program's threads is under way when the
 *   tracker clears the bits. (source/refuse.c refuses asynchronous I/O.)
 *
 * - The program runs while its pages are read. A page that is away in that moment, and back at the next look, has
 *   its frame and may have no bit: soft_dirty_confirm() looks at it behind each read.
 *
 * Three things remain unseen: a write by another process (process_vm_writev, a debugger) between
 * the two steps; one to a page that mprotect() made writable while its mapping was new, when
 * the mapping then merged with an older one; and a page that goes away and comes back between the read of it and the look behind
 * that read. The caller therefore compares digests in the end.
 *
 * A program has a tracker for each of its address spaces. The source freezes all processes once, lets
 * every tracker look, thaws, and has every tracker compare (source/precopy_scan.c). Why nothing is lost:
 *
 * - A look needs one thing: no thread that has the address space runs between the reading and the
 *   clearing. All processes of the program stand from before the first look until after the last one.
 *   A look reads and clears in its own address space alone, so the order of the looks does not matter.
 * - A look is not the end of what it found: the entries stay in the tracker, and soft_dirty_scan()
 *   compares them with those of the look before. A second look without a scan between would drop what
 *   the first one found and cleared: it is refused.
 * - A process that is not looked at keeps its bits, and its tracker keeps the entries of the last look:
 *   the next look finds what was written since then. So a process may be left out: the source leaves
 *   out one that does not stand, because it left the program or began after the program was listed.
 * - fork() leaves frames and bits of the parent as they are. A child that began since the processes
 *   were listed has its own tracker later, whose first look reports all that there is.
 * - A look that failed may have cleared some bits: soft_dirty_scan() fails then, and the migration ends,
 *   unless the process has ended or called exec, and its memory is no more.
 *
 * The entries of two looks are in memory at the same time, for all address spaces: 16 bytes a page.
 */
#ifndef MIGRATE_BACKEND_SOFT_DIRTY_H
#define MIGRATE_BACKEND_SOFT_DIRTY_H

#include "backend/backend.h"

struct soft_dirty;

/**
 * soft_dirty_open() - open a tracker for @pid
 * @pagemap_fd: from pagemap_open(); the caller closes it after soft_dirty_close()
 */
struct soft_dirty *soft_dirty_open(pid_t pid, int pagemap_fd, struct error *err);
void soft_dirty_close(struct soft_dirty *tracker);

/** soft_dirty_look() - see backend_ops.look */
void soft_dirty_look(struct soft_dirty *tracker, bool last);
/** soft_dirty_scan() - what the look before found; see backend_ops.scan */
int soft_dirty_scan(struct soft_dirty *tracker, backend_runs_fn fn, void *ctx, struct error *err);

/**
 * soft_dirty_confirm() - @nr pages from @addr on were just read while the program ran: are they those of the last look?
 *
 * The next look reports each page that is not, also when the page is back by then. Nothing after the last look. Never at the
 * same time as a scan; several threads may, each for other pages.
 */
void soft_dirty_confirm(struct soft_dirty *tracker, uint64_t addr, size_t nr);

/** soft_dirty_frames() - see backend_ops.frames */
bool soft_dirty_frames(const struct soft_dirty *tracker, uint64_t addr, size_t nr, uint64_t *entries);

#endif
