/* SPDX-License-Identifier: GPL-2.0 */
/* A program against the rule of its sender (dest/sender_rule.h). What the images say counts, and what CRIU made of them. */
#ifndef MIGRATE_DEST_SENDER_CHECK_H
#define MIGRATE_DEST_SENDER_CHECK_H

#include "criu/creds.h"
#include "dest/mounts.h"
#include "dest/namespaces.h"
#include "dest/program.h"
#include "dest/sender_rule.h"
#include "dest/shm.h"

/** sender_check_setup() - what Setup says already: namespaces that such a program must not have */
void sender_check_setup(const struct sender_rule *rule, const struct mounts *mounts, const struct namespaces *namespaces,
			struct refusals *refusals);
/** sender_check_needs() - what Setup, or Needs, asks of this machine: CRIU would ask for it as root */
void sender_check_needs(const struct sender_rule *rule, const Migrate__Setup *said, struct refusals *refusals);
/** sender_check_shared() - files of /dev/shm, which this helper would give to whom the source says */
int sender_check_shared(const struct sender_rule *rule, const struct shm *shm, struct error *err);
/** sender_check_images() - before anything is restored: whose the threads are, and all that CRIU would do as root */
int sender_check_images(const struct sender_rule *rule, const struct program *program, const struct namespaces *namespaces,
			int images_fd, struct error *err);
/** sender_check_rights() - a part of it: what else only root could have given a thread; @mapped: it is in a user namespace */
int sender_check_rights(const struct sender_rule *rule, const struct criu_creds *creds, bool mapped, struct error *err);
/** sender_check_attributes() - the same, of what the source sends beside images; @said: NULL: nothing */
int sender_check_attributes(const struct sender_rule *rule, const Migrate__Process *said, struct error *err);
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
