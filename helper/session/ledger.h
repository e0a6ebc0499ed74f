/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was decided about each migration, on disk, so that it can be told after a crash or a reboot: a file for each end
 * of each migration, ID-source and ID-dest. The keeper of that end writes the states that decide: COMMITTED before the source
 * says COMMIT, STARTED before a process of the program can run at the destination, ABORTED when nothing of it is left there.
 *
 * The ledger decides nothing itself: as long as the machine runs, the record (source/record.h) and the keepers do.
 *
 * The first line is the state, of one length, and lies in one sector: it is written in place and is never half a state. Helper
 * and keeper of a migration have a shared lock on its file; a file that nobody has locked is of a migration that is over, or
 * whose helper and keeper are dead.
 */
#ifndef MIGRATE_SESSION_LEDGER_H
#define MIGRATE_SESSION_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define LEDGER_BASE	"/var/lib/migrate-helper"
#define LEDGER_ID_BYTES	33	/* 16 bytes in hexadecimal digits, and a final 0 */

enum ledger_side { LEDGER_SOURCE, LEDGER_DEST };

/**
 * enum ledger_state - how far it went
 * @LEDGER_PREPARED: nothing was handed over
 * @LEDGER_COMMITTED: the source may have said COMMIT; the destination: COMMIT came, and nothing has run
 * @LEDGER_STARTED: of the destination: the program may have run there
 * @LEDGER_ABORTED: the program goes on at the source, and nothing of it ran at the destination. The end of it
 * @LEDGER_DONE: the program has moved, and all of its memory. The end of it
 * @LEDGER_ENDED: the program ended after COMMIT, or lost memory. The end of it
 */
enum ledger_state { LEDGER_PREPARED, LEDGER_COMMITTED, LEDGER_STARTED, LEDGER_ABORTED, LEDGER_DONE, LEDGER_ENDED };

/**
 * struct ledger_entry - what is in a file
 * @id: of the migration, in hexadecimal digits
 * @pid, @start_ticks: the root of the program at the source; 0 at the destination, which does not know them
 * @program: its name, as the source knows it; foreign text at the destination
 * @peer: the other end, as a person named it, or its address
 * @began: seconds since 1970
 * @boot: of the machine at that time
 * @lives: somebody has the migration in hand. Of an entry that was read
 * @rebooted: the machine was booted since. Of an entry that was read
 */
struct ledger_entry {
	enum ledger_side side;
	enum ledger_state state;
	char id[LEDGER_ID_BYTES], boot[40], program[32], peer[256];
	pid_t pid;
	uint64_t start_ticks;
	int64_t began;
	bool lives, rebooted;
};

/** struct ledger - an entry that is being written; @fd: never that of standard input. Zeroed there is none, and the states go nowhere */
struct ledger {
	int fd;
};

/**
 * ledger_begin() - make the file, in the state that @entry has, and take the lock
 * @base: directory; NULL: LEDGER_BASE. It is made, and must be safe (os/safe_dir.h)
 *
 * An entry with the same id is replaced when its migration is over; else -1. Old files go: those of migrations that have ended, after a week, and the oldest of them when there are more than a thousand.
 * Return: -1 with CODE_NOT_READY when the disk takes it not
 */
int ledger_begin(struct ledger *ledger, const char *base, const struct ledger_entry *entry, struct error *err);

/**
 * ledger_set() - a new state is on disk when this returns 0; -1 with @err when it may not be
 *
 * Any thread. A disk that does not answer is an error after two seconds; the state may still come to it later.
 */
int ledger_set(const struct ledger *ledger, enum ledger_state state, struct error *err);

/** ledger_let_go() - nobody has the migration in hand any more, although this process writes its states still */
void ledger_let_go(const struct ledger *ledger);

/** ledger_close() - give the lock back. The process's own: another one that has inherited the file keeps it */
void ledger_close(struct ledger *ledger);

/** typedef ledger_fn - called for each entry; other than 0 ends the walk */
typedef int (*ledger_fn)(void *ctx, const struct ledger_entry *entry);

/** ledger_each() - @base: as for ledger_begin(). Files that are no entries are passed over. Return: what @fn returned, or 0 */
int ledger_each(const char *base, ledger_fn fn, void *ctx);

/** ledger_settle() - of a migration that nobody has in hand: its new state. -1 with @err when it is not there, or somebody has it */
int ledger_settle(const char *base, const char *id, enum ledger_side side, enum ledger_state state, struct error *err);

/** ledger_state_name() - as it stands in the file: "COMMITTED" */
const char *ledger_state_name(enum ledger_state state);

#endif
