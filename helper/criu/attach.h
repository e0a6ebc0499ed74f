/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task that CRIU restores may not run when CRIU dies. Until CRIU releases the tasks, CRIU
 * traces them; a tracer's death lets its tasks run, unless it traces them with
 * PTRACE_O_EXITKILL, which CRIU does not. So the helper traces CRIU while CRIU seizes the tasks,
 * and adds that option to CRIU's calls. A CRIU that dies then takes the tasks along: the kernel
 * kills them before it lets them go.
 *
 * CRIU seizes the tasks after its notification "post-restore"; until then the tasks wait for CRIU
 * in CRIU's own code and wait for ever when it is dead.
 */
#ifndef MIGRATE_CRIU_ATTACH_H
#define MIGRATE_CRIU_ATTACH_H

#include "base/error.h"
#include <sched.h>
#include <signal.h>
#include <time.h>
#include "os/cgroup.h"

/**
 * struct criu_attach - a CRIU that is traced; ptrace ties it to the calling thread
 * @cancel_fd: as in struct criu_restore_opts
 * @seized: CRIU has seized a task
 * @shares_cpu: both run on one CPU; before they had @own_cpus and @criu_cpus
 * @timer: interrupts the wait for a stop, so that @cancel_fd is looked at
 */
struct criu_attach {
	pid_t criu;
	int cancel_fd;
	bool seized, has_timer, shares_cpu;
	cpu_set_t own_cpus, criu_cpus;
	timer_t timer;
	struct sigaction old_action;
};

/** criu_attach_find() - the CRIU that restores tasks in @group; 0: none */
pid_t criu_attach_find(const struct cgroup *group);
/**
 * criu_attach_begin() - trace CRIU, which waits for the answer to post-restore
 *
 * Return: 0 when CRIU stands, so that it can be answered; -1 with @err
 */
int criu_attach_begin(struct criu_attach *attach, pid_t criu, int cancel_fd, struct error *err);
/**
 * criu_attach_run() - until CRIU has seized all tasks; CRIU is traced no more then
 *
 * Return: 0, also when CRIU has died; -1 with @err: CRIU was killed
 */
int criu_attach_run(struct criu_attach *attach, struct error *err);

#endif
