/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A person decides that a handed-over program runs again on the source: its helper and keeper have
 * ended, and cannot say whether the program runs at the destination.
 */
#ifndef MIGRATE_SOURCE_RELEASE_H
#define MIGRATE_SOURCE_RELEASE_H

#include "source/record.h"

/**
 * struct release - @pid or @id is filled, and @base: directory of migrations; NULL: the default directories
 * @pid: the program; 0: the one of migration @id
 * @force: the person knows that it does not run at the destination
 * @dir: directory of the migration; empty: no record was found
 * @kind, @record: what was found
 */
struct release {
	pid_t pid;
	const char *id, *base;
	bool force;
	char dir[PATH_MAX];
	enum record_kind kind;
	struct record record;
};

/** release_find() - find the record, and look whether it may go: 0, or -1 with @err */
int release_find(struct release *release, struct error *err);
/** release_let_go() - the program goes on here: 0, or -1 with @err. After release_find() */
int release_let_go(struct release *release, struct error *err);

#endif
