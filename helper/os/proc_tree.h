/* SPDX-License-Identifier: GPL-2.0 */
/* A process and its descendants, as /proc tells them. */
#ifndef MIGRATE_OS_PROC_TREE_H
#define MIGRATE_OS_PROC_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * proc_tree() - @root and its descendants, parents first, zombies too
 * @pids: filled, free() it
 *
 * While the processes run, the kernel may leave out a child whose sibling ends in that moment. When
 * they stand, the list is exact.
 */
int proc_tree(pid_t root, pid_t **pids, size_t *nr, struct error *err);

/** struct proc_child - one of them; @parent: as the kernel listed it; 0 of the root */
struct proc_child {
	pid_t pid, parent;
};

/** proc_children() - as proc_tree(), with the parents */
int proc_children(pid_t root, struct proc_child **list, size_t *nr, struct error *err);

/** proc_shares_mm() - both processes have one address space, as after vfork */
bool proc_shares_mm(pid_t one, pid_t two);

/**
 * proc_borrows() - process @pid has the address space of its parent, or the parent waits in vfork()
 *
 * clone(2) with CLONE_VFORK alone has such a wait too. While a parent waits no tracer can stop it. Which of
 * its children it waits for is not known: each is said to borrow.
 */
bool proc_borrows(pid_t pid, pid_t parent);

/** proc_descends() - @pid is @root, or a descendant of it */
bool proc_descends(pid_t pid, pid_t root);

/**
 * proc_has_left() - @pid exists, and is no descendant of @root any more: an ancestor has ended
 *
 * False also when /proc cannot tell, so that this is not the opposite of proc_descends().
 */
bool proc_has_left(pid_t pid, pid_t root);

#endif
