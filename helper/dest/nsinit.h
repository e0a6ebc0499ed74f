/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The init of the PID and mount namespaces in which a program is restored. The init lives as long
 * as the program, and reaps its orphans. When the init is killed, the kernel kills all processes
 * of the namespace.
 *
 * A PID namespace of the program's own is below this one, and begins with the program's first task. That task
 * cannot take the place of this init: CRIU makes the namespace, and CRIU itself has to be in one that ends with
 * one process, whenever the restore is given up. The kernel kills the processes of namespaces below, too.
 */
#ifndef MIGRATE_DEST_NSINIT_H
#define MIGRATE_DEST_NSINIT_H

#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"

/* Exit status of the init when a signal killed the program's first task: this plus the signal. */
#define NSINIT_SIGNALLED	128

/**
 * struct nsinit_plan - what the namespaces are for
 * @task_pid: pid of the program in its own namespace, which CRIU's own processes must not take; NS_INIT_PID: the
 *	program has a PID namespace of its own
 * @own_cgroup_ns: the program has a cgroup namespace, which begins with the group that the init is in
 */
struct nsinit_plan {
	pid_t task_pid;
	bool own_cgroup_ns;
};

/**
 * struct nsinit - an init, as its parent, the keeper, sees it
 * @pid: pid in the parent's namespace; 0: there is no init
 * @sock: the parent's end of a socket pair
 */
struct nsinit {
	pid_t pid;
	int sock;
};

/**
 * nsinit_start() - start the init, which starts `criu swrk`
 * @group: control group that CRIU enters, and the restored tasks inherit
 * @rpc_fd: set to the caller's end of CRIU's RPC socket. CRIU holds a duplicate of this end, so
 *	that the caller's death is no hang-up, on which CRIU would release the tasks
 *
 * Until nsinit_commit() the kernel kills the init when the calling process dies.
 */
int nsinit_start(struct nsinit *ns, const struct nsinit_plan *plan, const struct cgroup *group,
		 int *rpc_fd, struct error *err);

/**
 * nsinit_lend() - the init holds a duplicate of @fd until nsinit_commit(), or its end
 * @number: of the descriptor there: restored tasks open /proc/1/fd/@number
 */
int nsinit_lend(struct nsinit *ns, int fd, int *number, struct error *err);

/** nsinit_commit() - from now on the init outlives its parent */
int nsinit_commit(struct nsinit *ns, struct error *err);

/** nsinit_kill() - kill and reap the init, and with it all processes of the namespace */
int nsinit_kill(struct nsinit *ns, struct error *err);

#endif
