/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The write-protect tracker in a migration, Linux 6.7 and later. The userfaultfd of uffd_wp.h finds
 * the pages that the program wrote, round by round, and the program never stands for it.
 *
 * CRIU does not know this tracker: CRIU goes by soft-dirty bits. So the bits are cleared when the
 * tracker starts, and once more before the freeze where that pays (write_protect_settle()). A page
 * that the bits call dirty and this tracker calls clean only costs CRIU time: the destination takes
 * CRIU's word for no page that is sent in rounds.
 *
 * Why the freeze loses no write. The source does this, in this order:
 *
 *  1. The keeper freezes the program's control group.
 *  2. write_protect_scan(), the last one of the userfaultfd.
 *  3. write_protect_give_up(): the userfaultfd stays, and nobody asks it any more.
 *  4. CRIU seizes all threads, thaws the control group, dumps, and is held.
 *  5. The keeper freezes the control group again.
 *  6. write_protect_scan() once more, now by soft-dirty bits.
 *
 * - A frozen thread runs nothing of the program, and is in no system call: step 2 finds all that the
 *   program ever wrote. Between steps 2 and 3 no thread of the program writes.
 * - CRIU seizes a thread in the freezer by ptrace. When CRIU thaws the control group this thread
 *   goes from the freezer into its ptrace stop, inside the kernel: no instruction of the program is
 *   between the two. In step 5 every thread is in a ptrace stop.
 * - In step 4 CRIU runs code of its own in the threads. This code has a mapping of its own, which
 *   CRIU takes out again and which is in no image. CRIU overwrites some bytes of the program's code
 *   and puts the old bytes back. When that makes a page of a file a page of the program's own, the
 *   destination has no such page yet: the list of all populated pages, made after step 5, has it.
 * - In step 4 the kernel writes into the rseq area of each thread that runs CRIU's code. The images
 *   name these areas: the source counts their pages as written (source/freeze.c).
 * - CRIU sees nothing of the userfaultfd: a write of CRIU's lifts the protection of its page by itself, and
 *   no hole has a note of protection, which CRIU would take for a swapped page (uffd_wp.c). A page that
 *   the kernel has taken out of a private mapping of a file leaves such a note, and is dumped though the
 *   file has it.
 * - CRIU clears the soft-dirty bits as soon as it has looked at them. Step 6 reports every page
 *   that has been written since, by whichever process.
 *
 * Why the userfaultfd stays. To lift its protection the kernel walks all memory of the program: 90 ms for 1 GiB,
 * emulated, a tenth of the time for which the program stands. A program that moves is killed here, and its memory
 * is never written again. A program that goes on here gets rid of the protection while it runs, a step at a
 * time, from write_protect_close(), or from the keeper when the helper was killed.
 */
#ifndef MIGRATE_BACKEND_WRITE_PROTECT_H
#define MIGRATE_BACKEND_WRITE_PROTECT_H

#include "backend/backend.h"
#include "backend/svm.h"

struct write_protect;

/**
 * write_protect_can() - this kernel, this module and this machine's control groups have what it
 * needs
 * @why: the answer in words
 */
bool write_protect_can(const struct svm *svm, const struct backend_hold *hold, char *why,
		       size_t size);

/**
 * write_protect_open() - the session begins to log; nothing is protected before the first scan
 * @svm: a session, and @clear_fd of its /proc/PID/clear_refs; both belong to the caller
 * @hold: its keep() gets duplicates of the descriptors
 */
struct write_protect *write_protect_open(struct svm *svm, int clear_fd,
					 const struct backend_hold *hold, struct error *err);
void write_protect_close(struct write_protect *wp);

/** write_protect_start() - see backend_ops.track */
int write_protect_start(struct write_protect *wp, struct error *err);

/** write_protect_scan() - see backend_ops.scan, and the top of this file */
int write_protect_scan(struct write_protect *wp, backend_runs_fn fn, void *ctx, struct error *err);

/** write_protect_list() - see backend_ops.list */
int write_protect_list(struct write_protect *wp, backend_runs_fn fn, void *ctx, struct error *err);

/** write_protect_scan_part() - see backend_ops.scan_part; uffd_wp.c says why nothing is lost */
int write_protect_scan_part(struct write_protect *wp, uint64_t start, uint64_t end,
			    backend_runs_fn fn, void *ctx, struct error *err);

/** write_protect_settle() - see backend_ops.settle */
int write_protect_settle(struct write_protect *wp, struct backend_settled *settled,
			 struct error *err);

/** write_protect_give_up() - see backend_ops.give_up */
void write_protect_give_up(struct write_protect *wp);

#endif
