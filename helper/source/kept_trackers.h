/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The write-protect trackers of the program, as its keeper holds them: duplicates of their descriptors,
 * one tracker for each address space.
 */
#ifndef MIGRATE_SOURCE_KEPT_TRACKERS_H
#define MIGRATE_SOURCE_KEPT_TRACKERS_H

#include <stddef.h>
#include "base/error.h"

/**
 * struct kept_tracker - duplicates of the descriptors of one tracker
 * @key: by which the helper names the tracker: the number that the session has in the helper
 */
struct kept_tracker {
	int key, session_fd, uffd;
};

/** struct kept_trackers - zeroed is empty */
struct kept_trackers {
	struct kept_tracker *list;
	size_t nr;
};

/**
 * kept_trackers_add() - the list owns @session_fd and @uffd from here on, after a failure too
 *
 * A tracker with this @key that is in the list already is replaced.
 */
int kept_trackers_add(struct kept_trackers *trackers, int key, int session_fd, int uffd,
		      struct error *err);

/** kept_trackers_forget() - close the descriptors; nothing when there is no tracker with this @key */
void kept_trackers_forget(struct kept_trackers *trackers, int key);

/** kept_trackers_end() - call @unprotect (uffd_cover_unprotect) for each, and forget them */
void kept_trackers_end(struct kept_trackers *trackers,
		       void (*unprotect)(int session_fd, int uffd));

#endif
