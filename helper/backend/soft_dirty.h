/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tracker without the module: what a program wrote since the last look, from its pagemap.
 *
 * Each look freezes the program, reads an entry for each page, clears the soft-dirty bits through
 * clear_refs, and thaws the program. A page counts as written when its soft-dirty bit is set, or
 * when another frame is behind it than at the last look. This is why both are needed:
 *
 * - Reading and clearing are two steps. A page that is written between them would be lost. Nobody
 *   runs between them.
 * - KSM puts a shared frame, without the bit, in place of the page that was written. mremap()
 *   moves a whole page table, bits and all, and no mapping need look different afterwards. In
 *   both cases the frame differs.
 * - Direct I/O writes into a frame that it took before the bit was cleared, and no bit is set by
 *   that; clear_refs clears the bit of a huge page that is pinned. A thread in such a system call
 *   does not count as frozen before the call has ended: no I/O of the program's threads is under
 *   way when the bits are cleared. (Asynchronous I/O is refused: refuse.c.)
 *
 * Two writes remain unseen: that of another process (process_vm_writev, a debugger) between the
 * two steps; and that to a page which mprotect() had made writable while its mapping was new, when
 * the mapping then merged with an older one. So who uses this compares digests in the end.
 */
#ifndef MIGRATE_BACKEND_SOFT_DIRTY_H
#define MIGRATE_BACKEND_SOFT_DIRTY_H

#include "backend/backend.h"

struct soft_dirty;

/**
 * soft_dirty_open() - a tracker for @pid
 * @pagemap_fd: of pagemap_open(); the caller closes it, later
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
