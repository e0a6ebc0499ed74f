/* SPDX-License-Identifier: GPL-2.0 */
/*
 * After FINAL: pages of one object that are those of other objects too, and come once. ALSO names the other
 * objects before the pages come over the same connection. Each object takes what it wants of the bytes that came.
 */
#ifndef MIGRATE_DEST_ALSO_H
#define MIGRATE_DEST_ALSO_H

#include "dest/mm.h"

struct also_sharer;

/**
 * struct also - of one connection, used by its thread; zeroed names nobody
 * @giver: whose pages come next
 * @came: pages of @giver have come since: the next ALSO begins a new list
 * @looks: how often runs that came were compared with those of a sharer
 * @sharers: the others, each with a part of @runs
 */
struct also {
	struct mm *giver;
	bool came;
	struct also_sharer *sharers;
	struct splice_vm_run *runs;
	uint32_t nr_sharers, nr_runs;
	uint64_t looks;
};

/**
 * also_add() - these pages of @giver will be @mm's too
 *
 * What is too much, or of another giver, takes the place of what was named before: the source names
 * what it sends next. What is forgotten @mm asks for behind PUSHED. Return: -1 when memory is short
 */
int also_add(struct also *also, struct mm *giver, struct mm *mm, const struct splice_vm_run *runs,
	     uint32_t nr_runs, struct error *err);
/** also_take() - a run of @giver has come, which has taken it: the others take their parts; as late_pages_take() */
int also_take(struct also *also, const struct mm *giver, const struct splice_vm_run *run,
	      const void *data, bool urgent, struct error *err);
void also_free(struct also *also);

#endif
