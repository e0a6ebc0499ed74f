/* SPDX-License-Identifier: GPL-2.0 */
/* What a manager (--msgfd) is told at the end: SUCCESS, or ERROR with the reason and the end of CRIU's log. */
#ifndef MIGRATE_SESSION_OUTCOME_H
#define MIGRATE_SESSION_OUTCOME_H

#include <stdatomic.h>
#include "wire/msgfd.h"

/**
 * struct outcome_report - zeroed, with @msgfd: NULL or not open: there is no manager
 * @said: it is told once, by whichever thread ends the migration
 * @log: the end of CRIU's log, or NULL
 */
struct outcome_report {
	struct msgfd *msgfd;
	atomic_bool said;
	char *log;
};

/** outcome_take_log() - keep the end of the log @name in the directory @dir_fd, which will be gone later */
void outcome_take_log(struct outcome_report *outcome, int dir_fd, const char *name);
/** outcome_say() - @err with CODE_OK is SUCCESS. Any thread may call; the first one says it */
void outcome_say(struct outcome_report *outcome, const struct error *err);
void outcome_free(struct outcome_report *outcome);

#endif
