/* SPDX-License-Identifier: GPL-2.0 */
/* Repairs of one thread's image (core-TID.img), for cores.c. */
#ifndef MIGRATE_CRIU_CORES_H
#define MIGRATE_CRIU_CORES_H

#include "criu/repairs.h"
#include "images.pb-c.h"

/** criu_signals() - signals in the queue: bit n - 1 is signal n */
uint64_t criu_signals(const Img__SignalQueue *queue);

/**
 * criu_wait_find() - true when CRIU's stop would make a system call of the thread return EINTR
 * @shared: signals that are pending for the process
 */
bool criu_wait_find(const Img__CoreEntry *core, uint64_t shared);

/**
 * criu_wait_repair() - make the call of a thread that criu_wait_find() found start again
 * Return: whether @core was changed
 */
bool criu_wait_repair(Img__CoreEntry *core, struct criu_wait *wait, int mem_fd);

#endif
