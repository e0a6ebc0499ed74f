/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images that are plain: CRIU makes nothing of them, with root's rights, that a user could not have made. A list says what
 * they may have. All else, also what a later CRIU writes, is not plain.
 */
#ifndef MIGRATE_CRIU_PLAIN_H
#define MIGRATE_CRIU_PLAIN_H

#include <stdbool.h>
#include "base/error.h"

/**
 * criu_plain_check() - the names of the images, and what they have open
 * @who: of whom more is not taken, for errors
 * @own_ipc: System V memory is that of an IPC namespace of the program's own
 * Return: 0; -1 with CODE_REFUSED, which says what the images have that is not plain
 */
int criu_plain_check(int images_dir_fd, const char *who, bool own_ipc, struct error *err);

#endif
