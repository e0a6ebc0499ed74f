/* SPDX-License-Identifier: GPL-2.0 */
/* A program against the rule of its sender (dest/sender_rule.h). What the images say counts, and what CRIU made of them. */
#ifndef MIGRATE_DEST_SENDER_CHECK_H
#define MIGRATE_DEST_SENDER_CHECK_H

#include "dest/mounts.h"
#include "dest/namespaces.h"
#include "dest/program.h"
#include "dest/sender_rule.h"

/** sender_check_setup() - what Setup says already: namespaces that such a program must not have */
void sender_check_setup(const struct sender_rule *rule, const struct mounts *mounts, const struct namespaces *namespaces,
			struct refusals *refusals);
/** sender_check_needs() - what Setup, or Needs, asks of this machine: CRIU would ask for it as root */
void sender_check_needs(const struct sender_rule *rule, const Migrate__Setup *said, struct refusals *refusals);
/** sender_check_images() - before anything is restored: whose the threads are, and the files without a name */
int sender_check_images(const struct sender_rule *rule, const struct program *program, const struct namespaces *namespaces,
			int images_fd, struct error *err);
/** sender_check_opens() - a part of it: paths that CRIU will open as root, each of which one of the program's users could open */
int sender_check_opens(const struct sender_rule *rule, const struct program *program, const struct namespaces *namespaces,
		       int images_fd, struct error *err);
/**
 * sender_check_files() - the restored processes stand: each file that one has open, its user could open
 *
 * CRIU opens files as root, by the names of the images.
 */
int sender_check_files(const struct sender_rule *rule, const struct program *program, struct error *err);

#endif
