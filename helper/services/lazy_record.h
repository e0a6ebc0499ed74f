/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of the journal of lazy-pages that its helpers write and its keeper reads. */
#ifndef MIGRATE_SERVICES_LAZY_RECORD_H
#define MIGRATE_SERVICES_LAZY_RECORD_H

#include "pages/journal.h"

/**
 * enum lazy_record - entries of the journal that are not about one space; @space is the number of a restore
 * @LAZY_RECORD_LINK: the connection; args: descriptor, or -1; form; LAZY_LINK_*
 * @LAZY_RECORD_LISTENS: for CRIU, with this descriptor
 * @LAZY_RECORD_CONNECTED: CRIU is at this descriptor, or -1
 * @LAZY_RECORD_WORD: of that task CRIU sends the userfaultfd next
 * @LAZY_RECORD_FINISHED: all is restored
 * @LAZY_RECORD_REAPED: it has ended, and its userfaultfds are closed next; args: 1: with all of its memory
 * @LAZY_RECORD_END: the helper ends by itself
 */
enum lazy_record { LAZY_RECORD_LINK = JOURNAL_OWNER, LAZY_RECORD_LISTENS, LAZY_RECORD_CONNECTED, LAZY_RECORD_WORD,
		   LAZY_RECORD_FINISHED, LAZY_RECORD_REAPED, LAZY_RECORD_END };

#define LAZY_LINK_FORCE	1	/* the socket was given: see struct lazy_link */
#define LAZY_LINK_TLS	2	/* its keys die with the helper */

#endif
