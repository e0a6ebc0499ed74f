/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The write-protect tracker, Linux 6.7 and later: which pages of another task were written, found
 * without stopping the task. It needs descriptors only, and nothing else of the helper.
 */
#ifndef HELPER_BACKEND_UFFD_WP_H
#define HELPER_BACKEND_UFFD_WP_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/pagemap_scan.h"
#include "backend/uffd_cover.h"

struct uffd_wp_epoch;

/**
 * struct uffd_wp - a tracker that runs
 * @cover: the session, which belongs to the caller; the userfaultfd of its task; its mappings
 * @pagemap_fd: /proc/PID/pagemap of the same task; belongs to the caller
 * @broken: an epoch failed half-way; the next one begins with a new userfaultfd
 * @parts: a round by parts has begun (uffd_wp_follow()), and its last part was not taken yet
 * @window: of the next PAGEMAP_SCAN
 * @epoch: memory that an epoch needs
 */
struct uffd_wp {
	struct uffd_cover cover;
	int pagemap_fd;
	bool broken, parts;
	struct scan_window window;
	struct uffd_wp_epoch *epoch;
};

/** uffd_wp_is_supported() - whether this kernel has what the tracker is made of */
bool uffd_wp_is_supported(void);

/**
 * uffd_wp_start() - begin to track
 * @wp: to be ended with uffd_wp_stop() when this returns 0
 * @session_fd: a session that has done ATTACH, with a mem_fd open for writing; no tracker runs
 * @pagemap_fd: /proc/PID/pagemap of the same task
 *
 * Return: 0; -EOPNOTSUPP when the kernel cannot; or the -errno of SPLICE_VM_UFFD or SPLICE_VM_TRACK
 */
int uffd_wp_start(struct uffd_wp *wp, int session_fd, int pagemap_fd);

/**
 * uffd_wp_epoch() - an epoch ends and the next begins, as a write to clear_refs does elsewhere
 * @wp: the tracker
 * @start: first address of which it ends, in bytes; a multiple of the page size
 * @end: byte after the last; above user space means its end
 * @more: more parts of this round follow: see uffd_wp.c. INFO, poll() and netlink know of an epoch's end
 *	after the last one. A part that begins or ends within a huge page splits it
 *
 * SPLICE_VM_SCAN with SPLICE_VM_SCAN_TRACKED of the same range then says what is to be sent or
 * forgotten.
 *
 * Return: 0 or -errno; -ESRCH when the target is gone. After an error all that is populated is
 * reported once more when this is called again and succeeds.
 */
int uffd_wp_epoch(struct uffd_wp *wp, uint64_t start, uint64_t end, bool more);

/**
 * uffd_wp_follow() - a round by parts begins: follow the mappings that there are
 *
 * PAGEMAP_SCAN without protection then lists what was written. Return: as uffd_wp_epoch()
 */
int uffd_wp_follow(struct uffd_wp *wp);

/**
 * uffd_wp_stop() - give the tracker up; stops the session's tracker as well
 * @wp: the tracker; not to be used again
 */
void uffd_wp_stop(struct uffd_wp *wp);

#endif
