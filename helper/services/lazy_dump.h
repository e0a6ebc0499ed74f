/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an unmodified `criu dump --lazy-pages` has dumped, while CRIU holds it: the tasks stand, and their memory is read
 * from themselves.
 *
 * CRIU ends the dump when its page server's connection ends, and kills the tasks when that is no failure. The struct has
 * this connection, and asks for no page there: it is how CRIU is told what becomes of the tasks. When this process is
 * killed the connection is reset, and the tasks go on.
 */
#ifndef MIGRATE_SERVICES_LAZY_DUMP_H
#define MIGRATE_SERVICES_LAZY_DUMP_H

#include "backend/backend.h"
#include "pages/page_set.h"
#include "services/lazy_link.h"

/**
 * struct lazy_dump_task - @pid: of the process here; @image_pid: in the images and in a GET
 * @lazy: the pages that a restore leaves out: no others are given
 */
struct lazy_dump_task {
	pid_t pid, image_pid;
	struct page_set lazy;
	struct backend *backend;
};

/**
 * struct lazy_dump - zeroed, but for @link.fd, which is -1
 * @link: to CRIU
 * @form: PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE, as CRIU speaks
 */
struct lazy_dump {
	struct lazy_link link;
	struct lazy_dump_task *tasks;
	size_t nr, form;
};

/** lazy_dump_read() - read the images of the tree whose first process is @pid, and open the memory of its processes */
int lazy_dump_read(struct lazy_dump *dump, int images_fd, pid_t pid, enum backend_kind kind, struct error *err);

/** lazy_dump_connect() - after lazy_dump_read(): from here on CRIU waits for lazy_dump_finish() or lazy_dump_abort() */
int lazy_dump_connect(struct lazy_dump *dump, const char *where, struct error *err);

/** lazy_dump_holds() - CRIU holds the tasks: their memory is what was dumped. Any thread */
bool lazy_dump_holds(const struct lazy_dump *dump);

/** lazy_dump_find() - the task of a GET, or NULL. Any thread */
const struct lazy_dump_task *lazy_dump_find(const struct lazy_dump *dump, uint64_t target);

/** lazy_dump_lacking() - pages that a restore leaves out, of all tasks */
uint64_t lazy_dump_lacking(const struct lazy_dump *dump);

/** lazy_dump_finish() - the copy has all pages: CRIU kills the tasks. -1 with @err when it does not say that it does */
int lazy_dump_finish(struct lazy_dump *dump, struct error *err);

/** lazy_dump_abort() - no copy runs: the dump fails, and the tasks go on */
void lazy_dump_abort(struct lazy_dump *dump);

void lazy_dump_free(struct lazy_dump *dump);

#endif
