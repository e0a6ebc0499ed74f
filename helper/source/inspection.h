/* SPDX-License-Identifier: GPL-2.0 */
/* One look at a process: what the looks of refuse_*.c are given, and what they fill. */
#ifndef MIGRATE_SOURCE_INSPECTION_H
#define MIGRATE_SOURCE_INSPECTION_H

#include "criu/criu.h"
#include "os/maps.h"
#include "source/loss.h"
#include "source/options.h"
#include "source/refusals.h"
#include "source/tree.h"

struct attached;
struct surroundings;

/**
 * struct inspection - a look at one process
 * @opts: the losses and the replacements that the user accepts
 * @criu: version of this machine's CRIU, which decides what a dump carries
 * @config: options of CRIU's that the user hands on; or NULL
 * @losses: filled with what a move would lose
 * @tree: the program; what one process of it shares with another moves with both
 * @around: what one look asks of all processes of the machine; set for each look
 * @process: the process; refuse_program() and refuse_frozen() set it for each process in turn
 * @vmas: the mappings of @process in SETUP; set in turn
 * @attached: filled with the sockets and terminals that @process leaves here; set in turn
 */
struct inspection {
	const struct migrate_options *opts;
	const struct criu_version *criu;
	const struct criu_config *config;
	struct losses *losses;
	const struct tree *tree;
	struct surroundings *around;
	const struct source_process *process;
	const struct vma_list *vmas;
	struct attached *attached;
};

#endif
