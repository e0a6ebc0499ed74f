/* SPDX-License-Identifier: GPL-2.0 */
/* What speaks against moving a program, found in parts: each refuse_*.c finds some of it. */
#ifndef MIGRATE_SOURCE_REFUSE_H
#define MIGRATE_SOURCE_REFUSE_H

#include "criu/criu.h"
#include "os/maps.h"
#include "os/proc_files.h"
#include "source/loss.h"
#include "source/options.h"
#include "source/refusals.h"
#include "source/tree.h"

/**
 * struct inspection - a look at one process
 * @opts: what the user accepts
 * @criu: the version here: what it carries
 * @losses: gets what a move would lose
 * @tree: the program; what one process of it shares with another moves with both
 * @process: the process; refuse_program() and refuse_frozen() fill it for each
 * @vmas: its mappings in SETUP; likewise
 * @attached: gets what it leaves here; likewise
 */
struct inspection {
	const struct migrate_options *opts;
	const struct criu_version *criu;
	struct losses *losses;
	const struct tree *tree;
	const struct source_process *process;
	const struct vma_list *vmas;
	struct attached *attached;
};

/** is_member() - process @pid, whichever it is, moves too */
bool is_member(const struct inspection *look, pid_t pid);

/** refuse_program() - all that speaks against moving the program, by name: -1 with @err */
int refuse_program(const struct inspection *terms, const struct tree *tree, struct error *err);
/**
 * refuse_frozen() - look again when the program stands: nothing changes any more
 *
 * And for the first time at processes that began since SETUP: most of these end before.
 */
int refuse_frozen(const struct inspection *terms, const struct tree *tree, struct error *err);

/** refuse_attached() - refuse_unix(), refuse_terminals() and refuse_renamed() */
int refuse_attached(const struct inspection *terms, struct source_process *process,
		    struct refusals *refusals, struct error *err);

/** refuse_mappings() - writable shared mappings of files, into the losses */
void refuse_mappings(struct inspection *look, const struct vma_list *vmas);
/**
 * refuse_files() - files that are open for writing, into the losses
 *
 * Each refuse_*() returns 0, or -1 with @err when the program cannot be looked at.
 */
int refuse_files(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_shared() - memory and deleted files that others share, into the losses */
int refuse_shared(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_pipes() - pipes and FIFOs with an end in another process, into the losses */
int refuse_pipes(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_unix() - unix sockets that are connected to those of other processes */
int refuse_unix(struct inspection *look, const struct proc_files *files,
		struct refusals *refusals, struct error *err);
/** refuse_terminals() - descriptors of terminals of others, the controlling terminal, the session */
int refuse_terminals(struct inspection *look, const struct proc_files *files,
		     struct refusals *refusals, struct error *err);
/** refuse_renamed() - files whose name is gone, and which have another one in another directory */
int refuse_renamed(struct inspection *look, const struct proc_files *files,
		   struct refusals *refusals, struct error *err);
/** refuse_kinds() - descriptors of kinds that cannot be carried at all */
int refuse_kinds(struct inspection *look, const struct proc_files *files,
		 struct refusals *refusals, struct error *err);
/** is_terminal() - a terminal, a pty's slave or the console; not a pty's master */
bool is_terminal(const struct proc_file *file);
/** refuse_sockets() - connections and data in sockets, into the losses */
int refuse_sockets(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_sockopts() - options of sockets that CRIU does not carry, into the losses */
int refuse_sockopts(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_cgroup() - the control group and its limits, into the losses */
int refuse_cgroup(struct inspection *look, struct error *err);
/** refuse_attributes() - attributes of the process that CRIU does not carry, into the losses */
int refuse_attributes(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_supervisor() - a supervisor that would make a second copy, into the losses */
void refuse_supervisor(const struct inspection *terms, const struct source_process *root);
/** refuse_status_line() - what one line of /proc/PID/status says, into the losses */
void refuse_status_line(struct inspection *look, const char *line);

/** criu_is_4_1() - or later; what CRIU 4.1.1 carries was read in its sources */
bool criu_is_4_1(const struct criu_version *criu);

/** storage_is_shared() - does --shared-storage cover @path? */
bool storage_is_shared(const struct migrate_options *opts, const char *path);

#endif
