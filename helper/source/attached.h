/* SPDX-License-Identifier: GPL-2.0 */
/* What CRIU leaves out of its images of a process: sockets to servers, terminals of others, files. */
#ifndef MIGRATE_SOURCE_ATTACHED_H
#define MIGRATE_SOURCE_ATTACHED_H

#include "source/reconnect.h"
#include "source/renamed.h"
#include "source/terminals.h"

/** struct attached - of one process; refuse_attached() finds it. Zeroed is empty */
struct attached {
	struct reconnects reconnects;
	struct terminals terminals;
	struct renamed renamed;
};

#endif
