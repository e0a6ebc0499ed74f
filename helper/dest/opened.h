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

/**
 * opened_check() - compare the files of @nr restored processes with the names in the images
 * @pids: as seen here
 *
 * Not for a program with a mount namespace of its own: it gets no file from outside by a link.
 * Return: 0; -1 with CODE_REFUSED, which names the process and the file
 */
int opened_check(int images_dir_fd, const pid_t *pids, size_t nr, struct error *err);

#endif
