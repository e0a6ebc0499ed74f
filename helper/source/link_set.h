/* SPDX-License-Identifier: GPL-2.0 */
/* The connections of one migration: control, memory streams and urgent. */
#ifndef MIGRATE_SOURCE_LINK_SET_H
#define MIGRATE_SOURCE_LINK_SET_H

#include "base/error.h"
#include "wire/conn.h"
#include "wire/control.h"

/**
 * struct link_set - the connections of one migration; owned
 * @ctl: NULL: there is none yet
 * @memory: @streams of them, STREAMS_MAX at most; @urgent; not open: there is none yet
 * @tls: who encrypts: "none", "kernel", or "program", which is slower
 *
 * The main thread makes them, before other threads use them, and closes them afterwards.
 */
struct link_set {
	struct control *ctl;
	struct conn memory[STREAMS_MAX], urgent;
	unsigned int streams;
	const char *tls;
};

void link_set_init(struct link_set *links, unsigned int streams);
/** link_set_close() - when no thread uses them any more */
void link_set_close(struct link_set *links);

/**
 * link_set_fail() - the migration has failed: a thread that waits in a frame comes back
 * @why: told to the other side first, before it sees connections close and makes up a reason of its
 *	own; NULL: it is not told
 * @hurry: the other side's last word is not worth waiting for
 */
void link_set_fail(struct link_set *links, const struct error *why, bool hurry);

#endif
