/* SPDX-License-Identifier: GPL-2.0 */
/* One restored process: what the source said of the process, and what CRIU's images say of it. */
#ifndef MIGRATE_DEST_PROCESS_H
#define MIGRATE_DEST_PROCESS_H

#include "criu/criu.h"
#include "dest/attributes.h"
#include "os/remote_group.h"

/**
 * struct process - of the main thread
 * @pid: at the source, and in the namespace here
 * @host_pid: as seen here, since all were looked for in the group; 0 before, or when it is not there
 * @sub_group: control group, from that of the root at the source; NULL: the same
 * @task: as the images have it
 * @attributes: what the source said, with those attributes that CRIU does not restore
 */
struct process {
	pid_t pid, host_pid;
	char *sub_group;
	struct criu_task task;
	struct attributes attributes;
};

/** process_new() - from what RestoreGo says of one process. Return: NULL with @err */
struct process *process_new(const Migrate__Process *said, struct error *err);
void process_free(struct process *process);

/** process_read_images() - fill @task; -1 when the images do not have the process */
int process_read_images(struct process *process, int images_fd, struct error *err);

/**
 * process_restore_attributes() - set what CRIU has not restored, from outside; @host_pid is filled
 * @available: CPUs of the group in which it will run
 */
int process_restore_attributes(struct process *process, const struct cpus *available,
			       struct error *err);
/** process_run_inside() - make the calls that the process has to make itself; @all: is held */
int process_run_inside(struct process *process, const struct remote_group *all, struct error *err);
/** process_send_attributes() - tell the source, and the journal, when the attributes are set */
int process_send_attributes(struct process *process, struct control *ctl, struct error *err);

/**
 * process_enter_group() - move the process, which is frozen in @group, to where it goes to its @sub_group from
 *
 * Where that cannot be the process comes into the group of the others.
 */
void process_enter_group(const struct process *process, const struct cgroup *group);

/** process_check() - the process stands, and nothing will kill it when it is started */
int process_check(const struct process *process, struct error *err);

#endif
