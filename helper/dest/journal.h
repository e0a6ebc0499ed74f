/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_JOURNAL_H
#define MIGRATE_DEST_JOURNAL_H

#include <sys/types.h>
#include "base/error.h"
#include "wire/control.h"

/**
 * journal_streams_begin() - send the journal the header of each stream that CRIU connected anew
 * @pid: of the restored process, which stands: its first line must not come before
 */
int journal_streams_begin(const Migrate__Process *said, pid_t pid, struct error *err);

#endif
