/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets to servers and terminals of others that a process has: they stay when the process moves. */
#ifndef MIGRATE_SOURCE_ATTACHED_H
#define MIGRATE_SOURCE_ATTACHED_H

#include "source/reconnect.h"
#include "source/terminals.h"

/** struct attached - of one process; refuse_unix() and refuse_terminals() find it. Zeroed is empty */
struct attached {
	struct reconnects reconnects;
	struct terminals terminals;
};

#endif
