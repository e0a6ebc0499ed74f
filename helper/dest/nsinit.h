/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The init of the PID and mount namespaces in which a program is restored. It
 * lives as long as the program, reaps its orphans, and takes everything along
 * when it is killed.
 */
#ifndef MIGRATE_DEST_NSINIT_H
#define MIGRATE_DEST_NSINIT_H

#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"

/* Exit status of the init: this and the signal by which the program's first task was killed. */
#define NSINIT_SIGNALLED	128

/**
 * struct nsinit - as its parent, the keeper, sees it
 * @pid: in the parent's namespace; 0 when there is none
 * @sock: socket pair to it
 */
struct nsinit {
	pid_t pid;
	int sock;
};

/**
 * nsinit_start() - clone it; it starts `criu swrk`
 * @task_pid: pid of the program: CRIU's own processes stay away from it
 * @group: control group that CRIU enters, so that the program is born in it
 * @rpc_fd: our end of CRIU's RPC socket. CRIU holds a duplicate of it, so that our death is no
 *	hang-up, on which CRIU would let go of the tasks
 *
 * Until nsinit_commit() it is killed by the kernel when the calling thread's process dies.
 */
int nsinit_start(struct nsinit *ns, pid_t task_pid, const struct cgroup *group, int *rpc_fd,
		 struct error *err);

/** nsinit_commit() - from here on it outlives its parent */
int nsinit_commit(struct nsinit *ns, struct error *err);

/** nsinit_kill() - kill and reap it: when that is done nothing of the namespace is left */
int nsinit_kill(struct nsinit *ns, struct error *err);

#endif
