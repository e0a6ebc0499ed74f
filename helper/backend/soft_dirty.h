/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tracker without the module: finds the pages that a program wrote since the last look, by
 * pagemap.
 *
 * Each look freezes the program, reads an entry for each page, clears the soft-dirty bits through
 * clear_refs, and thaws the program. A page counts as written when its soft-dirty bit is set, or
 * when another frame is behind it than at the last look. This is why both are needed:
 *
 * - Reading and clearing are two steps. A write to a page between them would be lost, so the
 * program
 *   is frozen for both.
 * - KSM puts a shared frame, without the bit, in place of a written page. mremap() moves a whole
 *   page table with its bits, and the mappings may look the same afterwards. In both cases the
 *   frame differs.
 * - Direct I/O writes into a frame that it took before the bit was cleared, and sets no bit;
 *   clear_refs clears the bit of a pinned huge page. A thread in such a system call does not count
 *   as frozen until the call has ended: no I/O of the program's threads is under way when the
 *   tracker clears the bits. (source/refuse.c refuses asynchronous I/O.)
 *
 * Two kinds of write remain unseen: one by another process (process_vm_writev, a debugger) between
 * the two steps; and one to a page that mprotect() made writable while its mapping was new, when
 * the mapping then merged with an older one. The caller therefore compares digests in the end.
 */
#ifndef MIGRATE_BACKEND_SOFT_DIRTY_H
#define MIGRATE_BACKEND_SOFT_DIRTY_H

#include "backend/backend.h"

struct soft_dirty;

/**
 * soft_dirty_open() - open a tracker for @pid
 * @pagemap_fd: from pagemap_open(); the caller closes it after soft_dirty_close()
 */
struct soft_dirty *soft_dirty_open(pid_t pid, int pagemap_fd, const struct backend_hold *hold,
				   struct error *err);
void soft_dirty_close(struct soft_dirty *tracker);

/**
 * soft_dirty_scan() - end an epoch; see backend_ops.scan
 * @stood_ns: added to: how long the program was frozen
 */
int soft_dirty_scan(struct soft_dirty *tracker, bool stands, backend_runs_fn fn, void *ctx,
		    uint64_t *stood_ns, struct error *err);

#endif
