/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PTYS_H
#define MIGRATE_DEST_PTYS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * ptys_prepare() - mount a new /dev/pts for a program that has both ends of a pty
 * @init: init of the namespaces in which CRIU is about to restore the program
 *
 * Other programs of this machine may have ptys with the numbers of the program's ptys.
 */
int ptys_prepare(int images_fd, pid_t init, struct error *err);

#endif
