/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A thread that waits in the kernel, in state D: for a file server that does not answer, or for a disk. No freezer and no
 * tracer can stop it, so that the rest of the program would stand until it comes back.
 *
 * A parent in vfork() has that state too. It stands in a freezer of version 2, and the freeze waits for its child
 * (source/unsettled.h): it does not count.
 */
#ifndef MIGRATE_SOURCE_BLOCKED_H
#define MIGRATE_SOURCE_BLOCKED_H

#include "source/tree.h"

/**
 * struct blocked - such a thread of process @pid
 * @switches: how often it has left a CPU; as long as that is the same it is one wait
 */
struct blocked {
	pid_t pid, tid;
	uint64_t switches;
};

/** blocked_find() - the first such thread of @pid. Return: false: none */
bool blocked_find(pid_t pid, struct blocked *blocked);

/** blocked_say() - set @err: the process is named, and the function of the kernel where the thread waits. Return: -1 */
int blocked_say(const struct blocked *blocked, struct error *err);

/**
 * blocked_check() - before the program is to stand
 *
 * Most waits are over after some ms: those of all threads that are found are waited for. One that begins meanwhile is not looked at: a
 * program that reads from a disk all the time always has one. Return: 0; -1 with CODE_REFUSED when one of them lasts for a second
 */
int blocked_check(const struct tree *tree, struct error *err);

#endif
