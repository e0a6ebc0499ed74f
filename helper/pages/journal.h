/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A record of what became of restored address spaces, in memory that outlives the process that writes it. Another process
 * replays it, and has the same spaces (pages/space_events.h).
 *
 * Why the record is whole when the writer is killed at any moment. Events are read from the kernel straight into this
 * memory, and one store both puts an event behind the entries and takes it out of what was read. All else that changes a
 * space is recorded after the kernel has done it: a page that was installed without a record is installed once more, which
 * the kernel refuses since the page is there.
 */
#ifndef MIGRATE_PAGES_JOURNAL_H
#define MIGRATE_PAGES_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/userfaultfd.h>
#include "base/error.h"

#define JOURNAL_EVENTS	16	/* most that are read at a time */

/**
 * enum journal_op - what happened to a space
 * @JOURNAL_ROOT: it was made, and has the next number; args: its userfaultfd, then what the owner likes
 * @JOURNAL_EVENT: an event was read; args: struct uffd_msg. The child of a FORK has the next number
 * @JOURNAL_SETTLED: pages have left todo; args: address, number
 * @JOURNAL_SURE: the last place of unsure is settled
 * @JOURNAL_EPOCH_END: see epoch.h
 * @JOURNAL_BURY: its process has ended
 * @JOURNAL_FD: its userfaultfd has another number from here on; args: the number
 * @JOURNAL_OWNER: the first one of the owner's own
 */
enum journal_op { JOURNAL_ROOT = 1, JOURNAL_EVENT, JOURNAL_SETTLED, JOURNAL_SURE, JOURNAL_EPOCH_END, JOURNAL_BURY,
		  JOURNAL_FD, JOURNAL_OWNER };

/** struct journal_entry - @space: number of the space, or what the owner likes */
struct journal_entry {
	uint32_t op, space;
	uint64_t args[4];
};

struct journal_head;

/**
 * struct journal - zeroed: not open
 * @fd: a memfd
 * @nr_spaces: spaces that have a number
 * @replays: nothing is recorded now
 */
struct journal {
	int fd;
	struct journal_head *head;
	struct journal_entry *entries;
	uint32_t nr_spaces;
	bool replays;
};

int journal_open(struct journal *journal, struct error *err);

/** journal_map() - another process's; takes @fd, also after a failure */
int journal_map(struct journal *journal, int fd, struct error *err);
void journal_close(struct journal *journal);

/** journal_nr() - number of entries */
uint64_t journal_nr(const struct journal *journal);

/** journal_break() - something cannot be recorded: the record is of no use from here on */
void journal_break(struct journal *journal);
bool journal_is_broken(const struct journal *journal);

/* The writer's; @journal NULL: nothing is recorded. */

void journal_add(struct journal *journal, uint32_t op, uint32_t space, uint64_t one, uint64_t two, uint64_t three);

/** journal_space() - a space was made. Return: its number */
uint32_t journal_space(struct journal *journal);

/** journal_settled() - JOURNAL_SETTLED */
void journal_settled(struct journal *journal, uint32_t space, uint64_t addr, uint64_t nr_pages);

/**
 * journal_read() - read events of @uffd
 * @msgs: JOURNAL_EVENTS
 * Return: as read(). The caller then calls journal_took() before it acts on each
 */
ssize_t journal_read(struct journal *journal, uint32_t space, int uffd, struct uffd_msg *msgs);
void journal_took(struct journal *journal, size_t i);

/* The reader's. */

/**
 * journal_pending() - event number @i that was read, and not acted upon. NULL: none, or it was
 * @space: filled
 */
struct uffd_msg *journal_pending(struct journal *journal, size_t i, uint32_t *space);

#endif
