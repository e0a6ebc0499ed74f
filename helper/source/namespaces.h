/* SPDX-License-Identifier: GPL-2.0 */
/* What Setup says of the namespaces that a program has of its own. */
#ifndef MIGRATE_SOURCE_NAMESPACES_H
#define MIGRATE_SOURCE_NAMESPACES_H

#include "os/id_map.h"
#include "source/tree.h"
#include "wire/control.h"

#define SAID_NAMESPACES	8

/** struct said_map - a map of ids as a message has it; zeroed is empty */
struct said_map {
	Migrate__IdRange *ranges, **list;
};

/** struct said_namespaces - what a message points to; zeroed is empty */
struct said_namespaces {
	Migrate__NamespaceKind kinds[SAID_NAMESPACES];
	struct said_map uids, gids;
};

/**
 * said_namespaces_add() - those of @tree to Setup
 *
 * Return: 0, or -1 with @err; said_namespaces_free() in either case
 */
int said_namespaces_add(struct said_namespaces *said, const struct tree *tree, Migrate__Setup *setup,
			struct error *err);
void said_namespaces_free(struct said_namespaces *said);

#endif
