/* SPDX-License-Identifier: GPL-2.0 */
/* What speaks against moving a program, found in parts: each refuse_*.c finds some of it. */
#ifndef MIGRATE_SOURCE_REFUSE_H
#define MIGRATE_SOURCE_REFUSE_H

#include "os/proc_files.h"
#include "source/outgoing.h"
#include "source/refusals.h"

/** refuse_mappings() - writable shared mappings of files, into the losses */
void refuse_mappings(struct outgoing *out, const struct vma_list *vmas);
/**
 * refuse_files() - files that are open for writing, into the losses
 *
 * Each refuse_*() returns 0, or -1 with @err when the program cannot be looked at.
 */
int refuse_files(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_shared() - memory and deleted files that others share, into the losses */
int refuse_shared(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_pipes() - pipes and FIFOs with an end in another process, into the losses */
int refuse_pipes(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_unix() - unix sockets that are connected to those of other processes */
int refuse_unix(struct outgoing *out, const struct proc_files *files,
		struct refusals *refusals, struct error *err);
/** refuse_terminals() - descriptors of terminals of others, the controlling terminal, the session */
int refuse_terminals(struct outgoing *out, const struct proc_files *files,
		     struct refusals *refusals, struct error *err);
/** refuse_sockets() - connections and data in sockets, into the losses */
int refuse_sockets(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_sockopts() - options of sockets that CRIU does not carry, into the losses */
int refuse_sockopts(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_cgroup() - the control group and its limits, into the losses */
int refuse_cgroup(struct outgoing *out, struct error *err);
/** refuse_attributes() - attributes of the process that CRIU does not carry, into the losses */
int refuse_attributes(struct outgoing *out, const struct proc_files *files, struct error *err);
/** refuse_status_line() - what one line of /proc/PID/status says, into the losses */
void refuse_status_line(struct outgoing *out, const char *line);

/** criu_is_4_1() - or later; what CRIU 4.1.1 carries was read in its sources */
bool criu_is_4_1(const struct criu_version *criu);

/** storage_is_shared() - does --shared-storage cover @path? */
bool storage_is_shared(const struct migrate_options *opts, const char *path);

#endif
