/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A restored task must not run when CRIU dies. CRIU traces the tasks until it releases them. The
 * death of a tracer lets its tasks run, unless the tracer has set PTRACE_O_EXITKILL; CRIU does not.
 * So the helper traces CRIU while CRIU seizes the tasks, and adds the option to CRIU's calls. When
 * CRIU dies the kernel then kills the tasks before it lets them go.
 *
 * CRIU seizes the tasks after its notification "post-restore". Until then the tasks wait for CRIU
 * in CRIU's own code, for ever when CRIU is dead.
 */
#ifndef MIGRATE_CRIU_ATTACH_H
#define MIGRATE_CRIU_ATTACH_H

#include "base/error.h"
#include <sched.h>
#include <signal.h>
#include <time.h>
#include "criu/attach_trap.h"
#include "os/cgroup.h"

/**
 * struct criu_attach - a traced CRIU; only the thread that began may go on (ptrace)
 * @cancel_fd: as in struct criu_restore_opts
 * @threads: that CRIU seizes; 0: not known
 * @interrupted: of these, those that CRIU has told to stop
 * @seized: CRIU has seized a task
 * @quiet: CRIU has not stopped since the timer's last signal
 * @trap: at CRIU's calls of ptrace(), up to that of the last thread; @tried: to set it
 * @shares_cpu: both run on one CPU; before they had @own_cpus and @criu_cpus
 * @timer: interrupts the wait for a stop, so that @cancel_fd is looked at
 */
struct criu_attach {
	pid_t criu;
	int cancel_fd;
	size_t threads, interrupted;
	bool seized, has_timer, shares_cpu, quiet, tried;
	struct attach_trap trap;
	cpu_set_t own_cpus, criu_cpus;
	timer_t timer;
	struct sigaction old_action;
};

/** criu_attach_find() - pid of the CRIU that restores tasks in @group; 0 with @err: none */
pid_t criu_attach_find(const struct cgroup *group, struct error *err);
/**
 * criu_attach_begin() - trace a CRIU that waits for the answer to post-restore
 *
 * Return: 0 when CRIU has stopped: the caller answers now, then calls criu_attach_run(); -1 with
 * @err
 */
int criu_attach_begin(struct criu_attach *attach, pid_t criu, int cancel_fd, size_t threads, struct error *err);
/**
 * criu_attach_run() - let CRIU seize all tasks, and detach from CRIU
 *
 * Return: 0, also when CRIU has died; -1 with @err: CRIU was killed
 */
int criu_attach_run(struct criu_attach *attach, struct error *err);

#endif
