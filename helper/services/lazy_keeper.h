/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that outlives lazy-pages. It shares the table of descriptors with the helper from the start, so that nothing
 * is closed when the helper is killed, whatever the helper was doing: the userfaultfds stay, and a program that lacks pages
 * waits for them, in place of reading zeros; the connection stays, and the dump waits. A helper that is started anew
 * with the same command takes all over (lazy_resume.h).
 *
 * What the descriptors are, and what became of the address spaces, is in a journal in shared memory.
 */
#ifndef MIGRATE_SERVICES_LAZY_KEEPER_H
#define MIGRATE_SERVICES_LAZY_KEEPER_H

#include "services/lazy_record.h"

#define LAZY_KEEPER_NAME	"lazy-pages.keeper"	/* its socket, in the directory of lazy-pages.socket */

/**
 * enum lazy_handed - what the keeper hands over: a message for each descriptor
 * @LAZY_HANDED_PENDING: of a child; @number: of the event that was read, and not acted upon
 * @LAZY_HANDED_END: that was all; the other way round: it is taken. The keeper hangs up when it holds nothing any more
 */
enum lazy_handed { LAZY_HANDED_JOURNAL, LAZY_HANDED_SPACE, LAZY_HANDED_PENDING, LAZY_HANDED_LINK, LAZY_HANDED_SERVER,
		   LAZY_HANDED_LISTENER, LAZY_HANDED_END };

struct lazy_handed_msg {
	uint32_t what, number;
};

/** struct lazy_keeper - the helper's end */
struct lazy_keeper {
	struct journal *journal;
	pid_t pid;
};

/**
 * lazy_keeper_start() - before the helper has threads
 * @work_dir_fd: of lazy-pages.socket; stays open
 * @old: connected to the keeper of a killed helper, which the new one lets go at first; -1: there is none
 */
int lazy_keeper_start(struct lazy_keeper *keeper, struct journal *journal, int work_dir_fd, int old, struct error *err);

/** lazy_keeper_relieve() - tell the keeper at @old that all is taken, and wait until it holds nothing any more */
void lazy_keeper_relieve(int old);

/** lazy_keeper_end() - the helper ends by itself: the keeper has nothing to keep */
void lazy_keeper_end(struct lazy_keeper *keeper);

#endif
