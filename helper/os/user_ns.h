/* SPDX-License-Identifier: GPL-2.0 */
/* Which user namespace is above another one, and which one owns a namespace. */
#ifndef MIGRATE_OS_USER_NS_H
#define MIGRATE_OS_USER_NS_H

#include <sys/types.h>

/** user_ns_above() - inode of the parent of the user namespace that process @pid is in; 0: the kernel does not tell */
ino_t user_ns_above(pid_t pid);
/** user_ns_owner() - inode of the user namespace that owns namespace @name ("net") of @pid; 0: the kernel does not tell */
ino_t user_ns_owner(pid_t pid, const char *name);

#endif
