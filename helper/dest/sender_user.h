/* SPDX-License-Identifier: GPL-2.0 */
/* A user of this machine, and which files he could open himself. */
#ifndef MIGRATE_DEST_SENDER_USER_H
#define MIGRATE_DEST_SENDER_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define SENDER_GROUPS_MAX	256

/** struct sender_user - ids of this machine; they count for files */
struct sender_user {
	unsigned int uid, gid, groups[SENDER_GROUPS_MAX];
	size_t nr_groups;
};

/**
 * sender_user_look() - by the user's rights: go to @path, and ask for @wanted of what is there
 * @wanted: as of access(): R_OK, W_OK and X_OK, or F_OK
 * @st: of what is there; undefined when he does not come there
 * Return: 0: he may; an errno: he may not. EACCES with @found false: he does not come there
 *
 * The path is gone once: what is asked for is what @st shows.
 */
int sender_user_look(const struct sender_user *user, const char *path, int wanted, struct stat *st, bool *found);
/** sender_user_mode() - the same by the mode alone, of a file without a name */
bool sender_user_mode(const struct sender_user *user, const struct stat *st, int wanted);
/** sender_file_is_plain() - a file, a directory, or one of the devices that are anybody's and give nothing away */
bool sender_file_is_plain(const struct stat *st);

#endif
