/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's images, on their way over control. */
#ifndef MIGRATE_SOURCE_IMAGES_H
#define MIGRATE_SOURCE_IMAGES_H

#include "session/frozen_time.h"
#include "session/mailbox.h"
#include "source/tree.h"

/**
 * struct images - what images_send() takes
 * @dir_fd: directory of the images
 * @tree: attributes of its processes that CRIU does not carry go with the images
 * @group: the one in which the processes are frozen
 * @frozen: what the time goes to
 * @box: a failure ends it
 */
struct images {
	int dir_fd;
	const struct tree *tree;
	const struct cgroup *group;
	struct frozen_time *frozen;
	struct control *ctl;
	struct mailbox *box;
};

/** images_send() - say what will come, all files, and RestoreGo */
int images_send(const struct images *images, struct error *err);

#endif
