/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PTYS_H
#define MIGRATE_DEST_PTYS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * ptys_prepare() - give a program that has ptys of its own a /dev/pts of its own
 * @init: of the namespaces in which the program is about to be restored
 *
 * Ptys are numbered, and the numbers of the program's may be taken on this machine.
 */
int ptys_prepare(int images_fd, pid_t init, struct error *err);

#endif
