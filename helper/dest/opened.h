/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files that CRIU has opened by name, as root, and following links. Setup has looked at these names, but until
 * CRIU came a user of this machine could put a link in the place of a directory, or of the file. So the restored
 * processes, which stand, are looked at: each file must be one to which a name in the images leads without a user's
 * link.
 */
#ifndef MIGRATE_DEST_OPENED_H
#define MIGRATE_DEST_OPENED_H

#include <sys/types.h>
#include "base/error.h"
#include "criu/names.h"

struct file_id;

/**
 * struct opened - zeroed is empty
 * @names: that CRIU opens
 * @ids: @nr_ids files to which these names lead, or led before CRIU came; sorted. Each is held by a descriptor: the number
 *	of an inode that is gone is soon another file's
 * @shm_dev: of the kernel's internal tmpfs, whose files nobody opens by a name
 */
struct opened {
	struct criu_names names;
	struct file_id *ids;
	size_t nr_ids;
	dev_t shm_dev;
};

/**
 * opened_expect() - before CRIU comes: note to which files the names in the images lead
 *
 * A file that is renamed or removed while the program is restored, as a log that is rotated, is known by that.
 * Return: 0, or -1 with @err; opened_free() in either case
 */
int opened_expect(struct opened *opened, int images_dir_fd, struct error *err);

/**
 * opened_check() - compare the files of @nr restored processes with those that the names lead to, now or before
 * @pids: as seen here
 *
 * Not for a program with a mount namespace of its own: it gets no file from outside by a link.
 * Return: 0; -1 with CODE_REFUSED, which names the process and the file
 */
int opened_check(struct opened *opened, const pid_t *pids, size_t nr, struct error *err);
void opened_free(struct opened *opened);

#endif
