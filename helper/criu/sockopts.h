/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRIU before 4.2 asks every socket for SO_PASSCRED and SO_PASSSEC, and its dump fails when a
 * socket does not answer. From 6.16 on Linux answers only for sockets that can carry credentials,
 * so not for TCP. A seccomp filter brings CRIU's questions to the helper as long as CRIU dumps.
 * Where the kernel refuses a question, the helper answers "off", as older kernels did.
 */
#ifndef MIGRATE_CRIU_SOCKOPTS_H
#define MIGRATE_CRIU_SOCKOPTS_H

#include <stdbool.h>
#include <sys/types.h>

/** sockopts_refused() - true when this kernel refuses the two options for TCP sockets */
bool sockopts_refused(void);

/**
 * sockopts_filter() - send the questions of the caller, and of programs it executes, to a listener
 * Return: the listener's descriptor, close-on-exec; -1 with errno
 */
int sockopts_filter(void);

/**
 * sockopts_answer() - answer one question of CRIU
 * @listener: a readable listener
 * @pid: CRIU; the kernel itself answers other processes
 */
void sockopts_answer(int listener, pid_t pid);

#endif
