/* SPDX-License-Identifier: GPL-2.0 */
/*
 * This process as a service of systemd. Elsewhere each function does nothing, and says so by its result.
 *
 * What moves here must not end when its service is stopped: systemd ends all that is in the service's control group. So
 * each migration leaves that group for a scope of its own, which ends by itself with its last process.
 */
#ifndef MIGRATE_OS_SERVICE_H
#define MIGRATE_OS_SERVICE_H

#include "base/error.h"

#define SERVICE_SLICE	"migrated.slice"

/**
 * service_socket() - take the listening stream socket that a socket unit has opened for this process
 * @fd: filled; close-on-exec
 * Return: 1; 0: there is none; -1: it is no listening stream socket, there are several, or (a UNIX socket) others than its
 *	owner may connect
 */
int service_socket(int *fd, struct error *err);

/** service_say() - tell systemd about this process, as "READY=1" or "STOPPING=1" */
void service_say(const char *state);

/** service_check() - look whether service_leave() can work: 0, or -1 */
int service_check(struct error *err);

/**
 * service_leave() - move the calling process from its service to a new scope in SERVICE_SLICE
 * @name: unique, without the suffix; of letters, digits, ".", "_" and "-"
 *
 * The process may have no other thread. Its later children are in the scope, too.
 * Return: 1; 0: the process is part of no service; -1: it is still in its service
 */
int service_leave(const char *name, const char *description, struct error *err);

#endif
