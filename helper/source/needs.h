/* SPDX-License-Identifier: GPL-2.0 */
/* What must be at the destination, or must be free there: of all processes in Setup, of those that began since in Needs. */
#ifndef MIGRATE_SOURCE_NEEDS_H
#define MIGRATE_SOURCE_NEEDS_H

#include "session/mailbox.h"
#include "source/addresses.h"
#include "source/reconnect.h"
#include "source/setup_files.h"
#include "source/tree.h"

#define NEEDS_HUGE_SIZES	2	/* of x86 */

/** struct needs - the parts of a message. Zeroed is empty */
struct needs {
	struct setup_files files;
	struct reconnect_message reconnect;
	struct addresses addresses;
	Migrate__HugePages huge[NEEDS_HUGE_SIZES], *huge_list[NEEDS_HUGE_SIZES];
	size_t nr_huge;
};

/**
 * needs_find() - files, servers and addresses of the processes of which the destination was not asked yet
 *
 * Return: 0, or -1 with @err; free with needs_free() in either case
 */
int needs_find(const struct migrate_options *opts, const struct tree *tree, struct needs *needs,
	       struct error *err);
/** needs_mark_asked() - the destination was asked for all that @tree needs now */
void needs_mark_asked(const struct tree *tree);
/** needs_find_huge() - huge pages of all processes; @but_root: of all but the root */
void needs_find_huge(const struct tree *tree, bool but_root, struct needs *needs);
void needs_free(struct needs *needs);

/**
 * needs_are_stale() - has the program closed, or renamed, one of the files of @asked since?
 *
 * A program that writes a file and renames it has the file for a moment only: that the destination has
 * no such file means nothing then.
 */
bool needs_are_stale(const struct migrate_options *opts, const struct tree *tree,
		     const struct needs *asked);

/** needs_take_refusals() - the only reason becomes the error; of several each is said */
void needs_take_refusals(char **refusals, size_t nr, struct error *err);

/**
 * struct needs_asker - asks before the freeze
 * @box: gets the answer
 */
struct needs_asker {
	const struct migrate_options *opts;
	struct tree *tree;
	struct control *ctl;
	struct mailbox *box;
};

/**
 * needs_ask() - ask the destination for what processes need that began since Setup; nothing when none did
 *
 * Once more when the destination refuses what has become stale, NEEDS_ASKED_MAX times at most.
 * Return: 0, or -1 with @err: the destination refuses, which leaves the program as it is
 */
int needs_ask(const struct needs_asker *asker, struct error *err);

#endif
