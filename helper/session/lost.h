/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that is nowhere any more: after COMMIT a process was killed at the source, or a page there went
 * bad, before the destination had the content. The destination counts, Done or Died tells the source,
 * and both ends end with the same words.
 */
#ifndef MIGRATE_SESSION_LOST_H
#define MIGRATE_SESSION_LOST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "control.pb-c.h"

/** struct lost_memory - of one process: its @pid in its own PID namespace; @killed: for that, there */
struct lost_memory {
	int32_t pid;
	uint64_t pages;
	bool killed;
};

/** struct lost - all processes that lost memory; zeroed is empty */
struct lost {
	struct lost_memory *list;
	size_t nr;
};

int lost_add(struct lost *lost, const struct lost_memory *memory, struct error *err);
void lost_free(struct lost *lost);

/** lost_pack() - for Done and Died. Return: a list of lost.nr, freed by lost_pack_free(); NULL: no memory */
Migrate__Lost **lost_pack(const struct lost *lost);
void lost_pack_free(Migrate__Lost **list);
/** lost_take() - what Done or Died says, in place of what @lost had */
int lost_take(struct lost *lost, Migrate__Lost *const *list, size_t nr, struct error *err);

json_t *lost_json(const struct lost *lost);
/**
 * lost_error() - CODE_LOST, with the first processes by name; nothing when none lost memory
 * @ended: nothing of the program is left at the destination: CODE_TARGET
 */
void lost_error(const struct lost *lost, bool ended, struct error *err);

#endif
