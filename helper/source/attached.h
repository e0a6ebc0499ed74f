/* SPDX-License-Identifier: GPL-2.0 */
/* The sockets to servers and the foreign terminals of one process: both stay at the source. */
#ifndef MIGRATE_SOURCE_ATTACHED_H
#define MIGRATE_SOURCE_ATTACHED_H

#include "source/reconnect.h"
#include "source/terminals.h"

/** struct attached - filled by refuse_unix() and refuse_terminals(). Zeroed is empty */
struct attached {
	struct reconnects reconnects;
	struct terminals terminals;
};

#endif
