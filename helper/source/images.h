/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's images, on their way over control. */
#ifndef MIGRATE_SOURCE_IMAGES_H
#define MIGRATE_SOURCE_IMAGES_H

#include "criu/omit.h"
#include "session/mailbox.h"
#include "source/figures.h"
#include "source/shm.h"
#include "source/tree.h"

/**
 * struct images - what images_send() takes
 * @dir_fd: directory of the images
 * @tree: attributes of its processes that CRIU does not carry go with the images
 * @shms: shared memory whose pages frames have carried
 * @group: the one in which the processes are frozen
 * @figures: get the bytes that were sent, and what the time goes to
 * @omit, @nr_omit: of images_omit(), one for each process
 * @box: a failure ends it
 * @tmpfs_bytes: of source_tmpfs_write()
 */
struct images {
	int dir_fd;
	const struct tree *tree;
	const struct source_shms *shms;
	const struct cgroup *group;
	struct figures *figures;
	struct control *ctl;
	struct mailbox *box;
	uint64_t tmpfs_bytes;
	struct omit *omit;
	size_t nr_omit;
};

/**
 * images_omit() - no page travels twice: after FINAL, before images_send()
 *
 * CRIU's restore fills lazily what is private and anonymous alone. All pages of other mappings that it
 * found written, it dumps into the images: of files that are mapped privately, and of locked memory.
 * Frames carry these pages too. A page that frames have carried is left out of the images: the
 * destination has it in its mirror, and takes it from there as it takes each page that the pagemap
 * says is in the parent. A page that stays in the images is taken out of the unsent ones: no frame
 * will carry it.
 *
 * The other ways are worse. Were such pages not sent in rounds, all of them would travel while the
 * program stands. CRIU itself leaves a page out only where it has soft-dirty bits, and a tracker that
 * does not clear these (write-protection, or none of CRIU's) makes it dump all that was written since
 * the first round.
 */
int images_omit(struct images *images, struct error *err);

/** images_send() - say what will come, all files, and RestoreGo; frees what images_omit() made */
int images_send(struct images *images, struct error *err);

/**
 * images_drop() - remove the images of single processes, which were sent
 *
 * While the destination restores, this end has nothing to do; thousands of files would keep the last messages waiting.
 * link_remaps_remove() needs images of the whole program, which stay.
 */
void images_drop(int dir_fd);

#endif
