/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRIU before 4.2 asks every socket for SO_PASSCRED and SO_PASSSEC, and fails a dump when
 * one does not answer. From 6.16 on Linux only answers for those that can carry credentials,
 * not for TCP. As long as CRIU dumps, its question goes through us: where the kernel refuses
 * it, the answer is "off", as it always was.
 */
#ifndef MIGRATE_CRIU_SOCKOPTS_H
#define MIGRATE_CRIU_SOCKOPTS_H

#include <stdbool.h>
#include <sys/types.h>

/** sockopts_refused() - this kernel refuses them for TCP sockets */
bool sockopts_refused(void);

/**
 * sockopts_filter() - the caller's questions, and those of what it executes, go to a listener
 * Return: the listener's descriptor, close-on-exec; -1 with errno
 */
int sockopts_filter(void);

/**
 * sockopts_answer() - answer one question
 * @listener: readable
 * @pid: who asks
 */
void sockopts_answer(int listener, pid_t pid);

#endif
