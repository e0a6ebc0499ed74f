/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The numbers of one process, or thread, in the PID namespaces that see it.
 *
 * The helper, its keepers, the guard and all records name a process by its *outer* pid, that of the helper's own
 * namespace. CRIU's images, CRIU's lazy socket and the messages to the other machine name it by its *inner* pid,
 * that of the process's own namespace. At the destination the inner pid is the same, and the outer pid another one.
 */
#ifndef MIGRATE_OS_NS_PIDS_H
#define MIGRATE_OS_NS_PIDS_H

#include <stdbool.h>
#include <sys/types.h>

#define NS_INIT_PID	1	/* inner pid of the first process of a namespace, with which the namespace ends */

/**
 * struct ns_pids - one process or thread
 * @outer: in the namespace of the reader's /proc
 * @inner: in its own namespace; 0: it has ended
 * @depth: how many namespaces the inner one is below the outer one; 0: they are the same
 */
struct ns_pids {
	pid_t outer, inner;
	unsigned int depth;
};

/**
 * ns_pids_parse() - a line of /proc/PID/status whose numbers are those of one thing in each namespace
 * @key: "NSpid:", "NSsid:" ...
 *
 * Return: false when the line is another one; @pids is unchanged then
 */
bool ns_pids_parse(const char *line, const char *key, struct ns_pids *pids);

#endif
