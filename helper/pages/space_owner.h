/* SPDX-License-Identifier: GPL-2.0 */
/* The set of the spaces of one task (pages/space_set.h) as each of its spaces sees it, and what its owner does. */
#ifndef MIGRATE_PAGES_SPACE_OWNER_H
#define MIGRATE_PAGES_SPACE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "pages/answered.h"

struct journal;
struct space;
struct space_set;

/**
 * enum install - result of space_install()
 * @INSTALL_OK: all pages are installed, or no fault can ask for them any more
 * @INSTALL_AGAIN: an event is pending: the caller reads the events and looks again
 * @INSTALL_GONE: the process has ended
 * @INSTALL_FAILED: another error, in errno
 */
enum install { INSTALL_OK, INSTALL_AGAIN, INSTALL_GONE, INSTALL_FAILED };

/**
 * struct space_set_ops - what the owner does; with its lock held
 * @fill: a fault on a page of @todo. INSTALL_AGAIN: the page is on its way, or @retry is set
 * @release: pages that have left @todo of a space; @origin is their address at the source
 * @more: a space lacks more pages than before
 * @born: a child's space was added; 0, or -1 with @err
 * @bury: the process of @space has ended
 */
struct space_set_ops {
	enum install (*fill)(struct space_set *set, struct space *space, uint64_t addr, struct error *err);
	void (*release)(struct space_set *set, uint64_t origin, uint64_t nr_pages);
	void (*more)(struct space_set *set);
	int (*born)(struct space_set *set, struct space *child, struct error *err);
	void (*bury)(struct space_set *set, struct space *space);
};

/**
 * struct space_set - @list: never shrinks before space_set_free(), so that pointers stay good
 * @journal: records what becomes of the spaces; NULL: nobody does
 * @retry: faults that wait may go through now
 * @answered: how long faults waited
 * @faults, @zero: faults that were read, and pages of zeros that were first touched here
 */
struct space_set {
	const struct space_set_ops *ops;
	struct journal *journal;
	struct space **list;
	size_t nr;
	bool retry;
	struct answered answered;
	uint64_t faults, zero;
};

#endif
