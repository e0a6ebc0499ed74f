/* SPDX-License-Identifier: GPL-2.0 */
/* What CRIU leaves out of its images of a process: sockets to servers, terminals of others, files. */
#ifndef MIGRATE_SOURCE_ATTACHED_H
#define MIGRATE_SOURCE_ATTACHED_H

#include <stdint.h>
#include "source/reconnect.h"
#include "source/renamed.h"
#include "source/terminals.h"

/**
 * struct attached - of one process; refuse_attached() finds it. Zeroed is empty
 * @pipes: digest of the pipes of the process, and of the tree, when the pipes were looked at
 */
struct attached {
	uint64_t pipes;
	struct reconnects reconnects;
	struct terminals terminals;
	struct renamed renamed;
};

#endif
