/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the program, which a manager moves (--msgfd). The helper asks for SYNCFS before Setup, since the destination
 * looks for the files then; when a round begins, so that files and memory travel at the same time; and once when the program
 * stands, before the destination may restore it.
 *
 * Nothing limits the wait but a failure: of a signal, of the other end, or of --max-frozen when the program stands.
 */
#ifndef MIGRATE_SOURCE_SYNCFS_H
#define MIGRATE_SOURCE_SYNCFS_H

#include "session/fs_driver.h"
#include "session/mailbox.h"
#include "wire/msgfd.h"

/**
 * struct syncfs - of the main thread
 * @msgfd: the manager's; not open: there is none
 * @driver: moves the files in place of a manager that does not, or that is not there
 * @box: a failure ends a wait
 * @shared: files are on storage that both machines share: a manager may say UNSUP
 * @asked: an answer is to come
 * @frozen: the program stands
 * @off: the manager said UNSUP
 * @begin_ns: when it was asked
 * @bytes, @ns: of the last sync
 * @all_bytes, @frozen_ns, @nr: of all of them; of the one while the program stood
 */
struct syncfs {
	struct msgfd msgfd;
	struct fs_driver driver;
	struct mailbox *box;
	bool shared, asked, frozen, off;
	uint64_t begin_ns, bytes, ns;
	uint64_t all_bytes, frozen_ns, nr;
};

/** syncfs_is_managed() - there is a manager that moves files */
static inline bool syncfs_is_managed(const struct syncfs *sync)
{
	return msgfd_is_open(&sync->msgfd) && !sync->off;
}

/** syncfs_is_on() - somebody moves files; @sync may be NULL */
static inline bool syncfs_is_on(const struct syncfs *sync)
{
	return sync && (syncfs_is_managed(sync) || sync->driver.command);
}


/** syncfs_ask() - the manager, or the driver, begins; nothing without one; @sync may be NULL */
int syncfs_ask(struct syncfs *sync, struct error *err);
/** syncfs_wait() - until the manager has done what it was asked for; nothing when it was not asked */
int syncfs_wait(struct syncfs *sync, struct error *err);

#endif
