/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attributes that CRIU does not restore, set while the restored program stands: from outside,
 * and by system calls in its threads where there is no other way.
 */
#ifndef MIGRATE_DEST_ATTRIBUTES_H
#define MIGRATE_DEST_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "criu/criu.h"
#include "dest/attribute_results.h"
#include "os/attributes.h"
#include "os/cgroup.h"
#include "os/remote.h"
#include "wire/control.h"

/** struct attributes - wanted, and what became of them; of the main thread. Zeroed is empty */
struct attributes {
	Migrate__Process *wanted;
	struct attribute_results results;
};

/** attributes_take() - keep a copy of what the source sent; -1 when it makes no sense */
int attributes_take(struct attributes *attributes, const Migrate__Process *said,
		    struct error *err);

/**
 * attributes_restore() - give the restored program what it lacks
 * @pid: of the restored process, as seen here
 * @task: from its images
 * @group: the one in which the process is frozen. The group is thawed and frozen again where a
 *	thread has to make a system call: all threads are traced then
 * Return: 0, also when something could not be set (see attributes_send()); -1 with @err when
 * the program may not be as it should be
 */
int attributes_restore(struct attributes *attributes, pid_t pid, const struct criu_task *task,
		       const struct cgroup *group, struct error *err);

/** attributes_send() - tell the source, who decides, what was set and what could not be */
int attributes_send(const struct attributes *attributes, struct control *ctl,
		    struct error *err);

void attributes_free(struct attributes *attributes);

/* for attributes.c and attributes_inside.c */

/** struct inside_call - a system call to be made in a thread; @timer: what it reads */
struct inside_call {
	pid_t tid;
	Migrate__AttributeKind kind;
	struct remote_call call;
	struct itimerval timer;
	char detail[ATTRIBUTE_DETAIL_BYTES / 2];
};

/** struct inside - all of them. Zeroed is empty */
struct inside {
	struct inside_call *calls;
	size_t nr, cap;
};

/** inside_plan_thread() - what a thread has to do itself to become as @wanted says */
int inside_plan_thread(struct inside *inside, const struct thread_attributes *thread,
		       const Migrate__ThreadAttributes *wanted, struct error *err);
/** inside_plan_itimers() - timers that CRIU before 4.1 does not arm: those without an interval */
int inside_plan_itimers(struct inside *inside, pid_t pid, const struct criu_task *task,
			struct error *err);
/** inside_run() - make these system calls. Return: as attributes_restore() */
int inside_run(const struct inside *inside, struct attribute_results *results, pid_t pid,
	       const struct cgroup *group, struct error *err);
void inside_free(struct inside *inside);

#endif
