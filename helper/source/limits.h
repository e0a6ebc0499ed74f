/* SPDX-License-Identifier: GPL-2.0 */
/* Limits of the program that CRIU's code in it may run into. */
#ifndef MIGRATE_SOURCE_LIMITS_H
#define MIGRATE_SOURCE_LIMITS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * limits_explain() - when CRIU could not dump @pid: which limit of it is nearly used up
 * @err: of the failure; the name of the limit, its value and the command that raises it become
 *	its hint. Nothing is changed when no limit is near
 */
void limits_explain(pid_t pid, struct error *err);

#endif
