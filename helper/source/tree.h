/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The processes that one migration moves: the root and its descendants. The tree is followed: each round
 * adds children that appeared, and drops processes that have ended or called exec; exec makes a new
 * address space, so that the process is added again.
 */
#ifndef MIGRATE_SOURCE_TREE_H
#define MIGRATE_SOURCE_TREE_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include "os/cgroup_homes.h"
#include "source/process.h"

struct source_mounts;

/**
 * struct tree - the processes of one migration
 * @processes: pointers, so that a process stays where it is; the first is the root
 * @last_object: the highest object id so far; no id is used again
 * @fixed: FINAL is next: the list does not change any more, and any thread may walk it. Before, only
 *	the main thread may, which changes the list
 * @own_network: they share a network namespace that is not this helper's
 * @cgroup_top: the control group of the root, as its own cgroup namespace shows it; "": the namespace begins with that
 *	group, or is this helper's
 * @mounts: of the mount namespace that its processes share; NULL: as this helper's
 *
 * Zeroed is empty.
 */
struct tree {
	struct source_process **processes;
	const struct source_mounts *mounts;
	bool own_network;
	char cgroup_top[CGROUP_SUB_BYTES];
	size_t nr;
	uint32_t last_object;
	atomic_bool fixed;
};

/** tree_add() - process @pid, as it is now. Return: NULL with @err when it cannot be looked at */
struct source_process *tree_add(struct tree *tree, pid_t pid, struct error *err);
void tree_destroy(struct tree *tree);

static inline struct source_process *tree_root(const struct tree *tree)
{
	return tree->processes[0];
}

/** tree_next() - the process at or behind *@at that is not gone; *@at moves behind it. NULL: the end */
struct source_process *tree_next(const struct tree *tree, size_t *at);
/** tree_next_mm() - the same, its address space */
struct source_mm *tree_next_mm(const struct tree *tree, size_t *at);

/* Each process of @tree, or each address space, one after another. */
#define tree_for_each(tree, process)						\
	for (size_t at_ = 0; ((process) = tree_next(tree, &at_)); )
#define tree_for_each_mm(tree, mm)						\
	for (size_t at_ = 0; ((mm) = tree_next_mm(tree, &at_)); )

/** tree_find_mm() - the address space with the object id @object; NULL: there is none */
struct source_mm *tree_find_mm(const struct tree *tree, uint32_t object);

/**
 * typedef tree_join_fn - look at a process that was added: -1 with @err when it cannot be moved
 *
 * A process that has ended meanwhile is no failure: see tree_forgive().
 */
typedef int (*tree_join_fn)(void *ctx, struct source_process *process, struct error *err);

/**
 * tree_follow() - add processes that appeared, and mark those that are gone
 * @join: called for each process that was added
 *
 * A child that shares the address space of its parent (vfork) is added when it has called exec. The end
 * of the root is no matter of this.
 */
int tree_follow(struct tree *tree, tree_join_fn join, void *ctx, struct error *err);
/** tree_follow_standing() - tree_follow() of a program that has stood since the last one: no process has called exec */
int tree_follow_standing(struct tree *tree, tree_join_fn join, void *ctx, struct error *err);

/**
 * tree_forgive() - is @err the consequence of the end, or the exec, of @process? Then @process is marked,
 *	and @err is empty
 *
 * Never of the root: without it there is no program.
 */
bool tree_forgive(const struct tree *tree, struct source_process *process, struct error *err);

/**
 * tree_wait_suspects() - as tree_forgive(), for all processes that are marked as suspect
 *
 * The wait is as long for hundreds of them as it is for one.
 */
void tree_wait_suspects(const struct tree *tree);

/** tree_check_alive() - -1 with @err when a process of the tree, which stands, was killed */
int tree_check_alive(const struct tree *tree, struct error *err);

/**
 * tree_read_files() - source_process_read_files() for all processes at once; @if_old: source_process_read_files_if_old()
 *
 * tree_forget_files() follows when the looks are done, since the program runs.
 */
void tree_read_files(const struct tree *tree, bool if_old);
void tree_forget_files(const struct tree *tree);
/** tree_hold() - source_process_hold() for all processes of the tree, which CRIU holds, at once */
void tree_hold(const struct tree *tree);

/**
 * tree_check_memory() - -1 with @err when the memory of a process is no more: a quick tree_check_alive(),
 *	which does not see a killed process that the v1 freezer keeps, with its memory
 */
int tree_check_memory(const struct tree *tree, struct error *err);

/** tree_owns() - process @pid is one of the program's, and moves too */
bool tree_owns(const struct tree *tree, pid_t pid);
/** tree_is_foreign() - process @pid is alive, and not one of the program's */
bool tree_is_foreign(const struct tree *tree, pid_t pid);

/** tree_find_borrower() - a descendant that borrows from its parent, see proc_borrows(); 0: there is none */
pid_t tree_find_borrower(const struct tree *tree);

/** tree_drop_gone() - forget the processes that are gone: the destination knows */
void tree_drop_gone(struct tree *tree);

/**
 * tree_compare() - the tree stands: is each process in it one of CRIU's images, and the other way round?
 * @images_fd: directory of the images
 */
int tree_compare(const struct tree *tree, int images_fd, struct error *err);

#endif
