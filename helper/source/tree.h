/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The processes that one migration moves: the root and its descendants. Today a tree of more than
 * one process is refused by this file alone: all other parts walk the tree.
 */
#ifndef MIGRATE_SOURCE_TREE_H
#define MIGRATE_SOURCE_TREE_H

#include <stddef.h>
#include <sys/types.h>
#include "source/process.h"
#include "source/refusals.h"

/**
 * struct tree - the processes of one migration
 * @processes: pointers, so that a process stays where it is; the first is the root
 * @last_object: the highest object id so far; no id is used again
 *
 * Zeroed is empty. Only the main thread changes the list, and not after FINAL, when requests walk
 * the list.
 */
struct tree {
	struct source_process **processes;
	size_t nr;
	uint32_t last_object;
};

/** tree_add() - process @pid, as it is now. Return: NULL with @err when it cannot be looked at */
struct source_process *tree_add(struct tree *tree, pid_t pid, struct error *err);
void tree_destroy(struct tree *tree);

static inline struct source_process *tree_root(const struct tree *tree)
{
	return tree->processes[0];
}

/* Each address space of @tree, one after another, as @mm. */
#define tree_for_each_mm(tree, mm)						\
	for (size_t at_ = 0;							\
	     at_ < (tree)->nr && ((mm) = &(tree)->processes[at_]->mm); at_++)

/** tree_find_mm() - the address space with the object id @object; NULL: there is none */
struct source_mm *tree_find_mm(const struct tree *tree, uint32_t object);

/** tree_refuse() - processes that belong to the tree and cannot be moved with it, into @refusals */
void tree_refuse(const struct tree *tree, struct refusals *refusals);
/** tree_check() - -1 with CODE_REFUSED when a process was started that is not in the tree */
int tree_check(const struct tree *tree, struct error *err);

#endif
