/* SPDX-License-Identifier: GPL-2.0 */
/* A ledger of one entry, for a test of who writes what there. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_LEDGER_KIT_H
#define MIGRATE_TESTS_LEDGER_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "session/ledger.h"

static char noted_base[] = "/tmp/test-noted-XXXXXX";
static struct ledger noted;

static pid_t noted_owner;

static inline void noted_remove(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", noted_base);
	if (getpid() == noted_owner && system(command))
		print_message("%s stays\n", noted_base);
}

/* Also when an entry was begun before: it is forgotten then. */
static inline void noted_begin(enum ledger_side side)
{
	struct ledger_entry entry = { .side = side, .state = LEDGER_PREPARED };
	static unsigned int nr;
	struct error err = { 0 };

	ledger_close(&noted);
	if (!nr) {
		assert_non_null(mkdtemp(noted_base));
		noted_owner = getpid();
		assert_int_equal(atexit(noted_remove), 0);
	}
	snprintf(entry.id, sizeof(entry.id), "%032x", ++nr);
	assert_int_equal(ledger_begin(&noted, noted_base, &entry, &err), 0);
}

static inline int noted_take(void *ctx, const struct ledger_entry *entry)
{
	struct ledger_entry *last = ctx;

	if (strcmp(entry->id, last->id) > 0)
		*last = *entry;
	return 0;
}

/* The last one. */
static inline struct ledger_entry noted_entry(void)
{
	struct ledger_entry last = { 0 };

	ledger_each(noted_base, noted_take, &last);
	return last;
}

/* Return: true when the entry gets into this state in five seconds */
static inline bool noted_is(enum ledger_state state)
{
	for (int ms = 0; ms < 5000 && noted_entry().state != state; ms++)
		usleep(1000);
	return noted_entry().state == state;
}

#endif
