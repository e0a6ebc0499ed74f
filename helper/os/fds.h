/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_FDS_H
#define MIGRATE_OS_FDS_H

#include <stddef.h>

/** fds_close_others() - close all descriptors from 3 on except the @nr ones of @keep (-1: none) */
void fds_close_others(const int *keep, size_t nr);

/**
 * fds_allow_many() - let this process, and CRIU as its child, have tens of thousands of descriptors
 *
 * Each process of a tree takes several. Without CAP_SYS_RESOURCE, as in a container, no more than the
 * hard limit of this process.
 */
void fds_allow_many(void);

/**
 * fds_make_room() - let the table of descriptors of this process, which has no threads yet, hold thousands
 *
 * Else the kernel doubles the table each time it is full, and has a process with threads wait for some ten milliseconds
 * until nobody uses the old one. A process that is forked begins with a small table.
 */
void fds_make_room(void);

#endif
