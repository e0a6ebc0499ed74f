/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The course of one migration on the control connection: which message may come in which
 * phase, from which side, and how long it may be. Both ends go by the one table in course.c.
 */
#ifndef MIGRATE_WIRE_COURSE_H
#define MIGRATE_WIRE_COURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "control.pb-c.h"

/** enum course_side - the two ends of a migration; values are bits */
enum course_side { COURSE_SOURCE = 1, COURSE_DEST = 2 };

/**
 * enum course_phase - as one end sees it, after what it has sent and received
 * @PHASE_HELLO: not both Hellos have passed
 * @PHASE_SETUP: Setup is to come
 * @PHASE_ASKED: the answer to Setup is to come
 * @PHASE_PRECOPY: rounds
 * @PHASE_FROZEN: the program stands; lists of pages and images pass
 * @PHASE_RESTORE: the images are complete, the destination restores
 * @PHASE_READY: the restored tasks stand
 * @PHASE_COMMITTED: Commit has passed
 * @PHASE_STARTED: the restored tasks run
 * @PHASE_DONE: the destination has every page, or the program has ended there
 * @PHASE_ENDED: nothing more is to come
 */
enum course_phase {
	PHASE_HELLO, PHASE_SETUP, PHASE_ASKED, PHASE_PRECOPY, PHASE_FROZEN, PHASE_RESTORE,
	PHASE_READY, PHASE_COMMITTED, PHASE_STARTED, PHASE_DONE, PHASE_ENDED, NR_PHASES,
};

/**
 * struct course - one end's view; its owner locks it
 * @side: the end that this is
 * @hellos: sides whose Hello has passed
 */
struct course {
	enum course_side side;
	enum course_phase phase;
	unsigned int hellos;
};

void course_init(struct course *course, enum course_side side);

/**
 * course_send() - this end is about to send a message
 * Return: 0 and the phase that follows is entered, or -1 with CODE_INTERNAL
 */
int course_send(struct course *course, Migrate__Control__BodyCase body, struct error *err);

/**
 * course_receive() - a message of the other side was received
 * Return: 0 and the phase that follows is entered, or -1 with CODE_PEER
 */
int course_receive(struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		   struct error *err);

/** course_check() - course_receive() that enters no phase: before memory is taken for a message */
int course_check(const struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		 struct error *err);

const char *course_phase_name(enum course_phase phase);

/** course_body_name() - the name of a message, as in control.proto */
const char *course_body_name(Migrate__Control__BodyCase body);

#endif
