/* SPDX-License-Identifier: GPL-2.0 */
/* What the keeper of lazy-pages has when the helper is dead: descriptors, as the journal names them, and who needs them. */
#ifndef MIGRATE_SERVICES_LAZY_KEPT_H
#define MIGRATE_SERVICES_LAZY_KEPT_H

#include "pages/journal.h"

/** struct lazy_kept_space - @uffd: -1: its process has ended, or its restore, @restore, has */
struct lazy_kept_space {
	int uffd;
	uint32_t restore;
};

/**
 * struct lazy_kept_restore - @fd: CRIU is there, or -1
 * @listens: it is waited for there, or -1
 * @over: the restore has ended, or all is restored
 */
struct lazy_kept_restore {
	int fd, listens;
	bool over;
};

/**
 * struct lazy_kept - what the journal says; used when the helper is dead
 * @spaces: by their numbers
 * @pending: of children whose birth was read, and not acted upon; else -1. Of this table: the helper that takes over writes
 *	its own numbers into the journal
 * @link, @form, @flags: of LAZY_RECORD_LINK
 * @complete: restores that have all of their memory
 */
struct lazy_kept {
	struct journal *journal;
	int work_fd, listen_fd;
	struct lazy_kept_space *spaces;
	size_t nr, complete, nr_restores;
	struct lazy_kept_restore *restores;
	int pending[JOURNAL_EVENTS], link;
	size_t form;
	unsigned int flags;
	bool ended;
};

/** lazy_kept_read() - read the journal; it is broken when there is no memory for what it says */
void lazy_kept_read(struct lazy_kept *kept);

/** lazy_kept_is_open() - @fd is a descriptor: a number that the helper has closed without a record is nothing that is kept */
bool lazy_kept_is_open(int fd);

/**
 * lazy_kept_holds_dump() - a copy has all pages, and the keys that are needed to say so are lost
 *
 * criu dump would take each end of the connection for a failure, and two programs would run. A lazy-source takes the word
 * of a further helper.
 */
bool lazy_kept_holds_dump(const struct lazy_kept *kept);

/** lazy_kept_is_needed() - by a process that lives, by a CRIU that still restores, or by a dump that is to stand */
bool lazy_kept_is_needed(const struct lazy_kept *kept);

#endif
