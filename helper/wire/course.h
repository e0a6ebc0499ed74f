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
 * enum course_phase - phase of a migration, as one end sees it
 * @PHASE_HELLO: until both Hellos have passed
 * @PHASE_SETUP: until Setup
 * @PHASE_ASKED: until the answer to Setup
 * @PHASE_PRECOPY: rounds
 * @PHASE_FROZEN: the program is frozen; lists of pages and images pass
 * @PHASE_RESTORE: the images are complete, the destination restores
 * @PHASE_READY: the restored tasks stand frozen
 * @PHASE_COMMITTED: Commit has passed
 * @PHASE_STARTED: the restored tasks run
 * @PHASE_DONE: the destination has every page, or the program has ended there
 * @PHASE_ENDED: no message may follow
 */
enum course_phase {
	PHASE_HELLO, PHASE_SETUP, PHASE_ASKED, PHASE_PRECOPY, PHASE_FROZEN, PHASE_RESTORE,
	PHASE_READY, PHASE_COMMITTED, PHASE_STARTED, PHASE_DONE, PHASE_ENDED, NR_PHASES,
};

/**
 * struct course - one end's view of the migration; its owner locks
 * @side: this end
 * @hellos: sides whose Hello has passed
 */
struct course {
	enum course_side side;
	enum course_phase phase;
	unsigned int hellos;
};

void course_init(struct course *course, enum course_side side);

/**
 * course_send() - check a message that this end is about to send, and enter the phase it opens
 * Return: 0, or -1 with CODE_INTERNAL
 */
int course_send(struct course *course, Migrate__Control__BodyCase body, struct error *err);

/**
 * course_receive() - check a message of the other side, and enter the phase it opens
 * Return: 0, or -1 with CODE_PEER
 */
int course_receive(struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		   struct error *err);

/** course_check() - course_receive() that enters no phase: called before memory is allocated */
int course_check(const struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		 struct error *err);

const char *course_phase_name(enum course_phase phase);

/** course_body_name() - the name of a message, as in control.proto */
const char *course_body_name(Migrate__Control__BodyCase body);

#endif
