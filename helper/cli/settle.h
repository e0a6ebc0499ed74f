/* SPDX-License-Identifier: GPL-2.0 */
/* What `release` and `abort` do alike: a person says what became of a migration that nobody looks after. */
#ifndef MIGRATE_CLI_SETTLE_H
#define MIGRATE_CLI_SETTLE_H

#include "source/release.h"

/** struct settle - @release: which; @ledger: directory of the ledger; NULL: the default */
struct settle {
	struct release release;
	const char *ledger;
};

/** settle_release() - the program that stands here goes on, which is said and noted: 0, or -1 with @err */
int settle_release(struct settle *settle, struct error *err);

#endif
