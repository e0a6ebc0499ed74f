/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attributes that CRIU does not restore. The helper sets them while the restored program is frozen:
 * from outside, or by system calls in the program's threads where there is no other way.
 */
#ifndef MIGRATE_DEST_ATTRIBUTES_H
#define MIGRATE_DEST_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "criu/criu.h"
#include "dest/attribute_results.h"
#include "os/attributes.h"
#include "os/remote.h"
#include "wire/control.h"

/** struct inside_call - a system call to make in a thread; @timer: data that the call reads */
struct inside_call {
	pid_t tid;
	Migrate__AttributeKind kind;
	struct remote_call call;
	struct itimerval timer;
	char detail[ATTRIBUTE_DETAIL_BYTES / 2];
};

/** struct inside - the planned system calls. Zeroed is empty */
struct inside {
	struct inside_call *calls;
	size_t nr, cap;
};

/**
 * struct attributes - wanted attributes and the results; of the main thread. Zeroed is empty
 * @inside: planned by attributes_restore()
 */
struct attributes {
	Migrate__Process *wanted;
	struct inside inside;
	struct attribute_results results;
};

/** attributes_take() - check and copy the attributes that the source sent; 0, or -1 with @err */
int attributes_take(struct attributes *attributes, const Migrate__Process *said,
		    struct error *err);

/**
 * attributes_restore() - set the attributes that CRIU has not restored and that are set from outside
 * @pid: the restored process, in the caller's PID namespace
 * @task: from the images
 * @available: CPUs of the group in which the process will run
 *
 * The calls that the process must make itself are planned, for attributes_run_inside().
 * Return: 0, also when an attribute could not be set (see attributes_send()); -1 with @err when the
 * program may be in a wrong state
 */
int attributes_restore(struct attributes *attributes, pid_t pid, const struct criu_task *task,
		       const struct cpus *available, struct error *err);

/** attributes_need_inside() - the process has to make system calls itself */
bool attributes_need_inside(const struct attributes *attributes);
/** attributes_run_inside() - make the planned calls in @remote. Return: as attributes_restore() */
int attributes_run_inside(struct attributes *attributes, struct remote *remote, struct error *err);

/** attributes_send() - tell the source which attributes were set; the source decides */
int attributes_send(const struct attributes *attributes, struct control *ctl,
		    struct error *err);

void attributes_free(struct attributes *attributes);

/* The following is shared by attributes.c and attributes_inside.c only. */

/** inside_plan_thread() - plan the calls that a thread must make itself to get @wanted */
int inside_plan_thread(struct inside *inside, const struct thread_attributes *thread,
		       const Migrate__ThreadAttributes *wanted, struct error *err);
/** inside_plan_itimers() - plan to arm one-shot timers, which CRIU before 4.1 does not arm */
int inside_plan_itimers(struct inside *inside, pid_t pid, const struct criu_task *task,
			struct error *err);
/** inside_run() - make the planned calls. Return: as attributes_restore() */
int inside_run(const struct inside *inside, struct attribute_results *results,
	       struct remote *remote, struct error *err);
void inside_free(struct inside *inside);

#endif
