/* SPDX-License-Identifier: GPL-2.0 */
/* The program's own limits (RLIMIT_*), which also bind the code that CRIU runs in the program. */
#ifndef MIGRATE_SOURCE_LIMITS_H
#define MIGRATE_SOURCE_LIMITS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * limits_explain() - after a failed dump of @pid: name the limit that is nearly used up
 * @err: error of the dump; its hint becomes the limit's name, its value and the command that raises
 *	the limit. When no limit is near, @err stays as it is
 */
void limits_explain(pid_t pid, struct error *err);

#endif
