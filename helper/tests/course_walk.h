/* SPDX-License-Identifier: GPL-2.0 */
/* Two ends of a control connection, taken through the phases of a migration. */
#ifndef MIGRATE_TESTS_COURSE_WALK_H
#define MIGRATE_TESTS_COURSE_WALK_H

#include "wire/control.h"

/* Return: control_send() of the shortest message with @body */
static inline int walk_send(struct control *ctl, Migrate__Control__BodyCase body,
			    struct error *err)
{
	static Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	Migrate__SetupReply reply = MIGRATE__SETUP_REPLY__INIT;
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	Migrate__Ready ready = MIGRATE__READY__INIT;
	Migrate__Commit commit = MIGRATE__COMMIT__INIT;
	Migrate__Started started = MIGRATE__STARTED__INIT;
	Migrate__Done done = MIGRATE__DONE__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	hello.software = "test";
	hello.hostname = "test";
	setup.comm = "test";
	setup.criu = &criu;
	setup.kernel = "test";
	setup.arch = "test";
	setup.mode = "auto";
	frozen.criu = &criu;
	msg.body_case = body;
	switch (body) {
	case MIGRATE__CONTROL__BODY_HELLO:
		msg.hello = &hello;
		break;
	case MIGRATE__CONTROL__BODY_SETUP:
		msg.setup = &setup;
		break;
	case MIGRATE__CONTROL__BODY_SETUP_REPLY:
		msg.setup_reply = &reply;
		break;
	case MIGRATE__CONTROL__BODY_FROZEN:
		msg.frozen = &frozen;
		break;
	case MIGRATE__CONTROL__BODY_RESTORE_GO:
		msg.restore_go = &go;
		break;
	case MIGRATE__CONTROL__BODY_READY:
		msg.ready = &ready;
		break;
	case MIGRATE__CONTROL__BODY_COMMIT:
		msg.commit = &commit;
		break;
	case MIGRATE__CONTROL__BODY_STARTED:
		msg.started = &started;
		break;
	default:
		msg.done = &done;
		break;
	}
	return control_send(ctl, &msg, err);
}

/*
 * walk_to() - both ends into @phase, by messages
 * Return: 0, or -1 with @err
 */
static inline int walk_to(struct control *source, struct control *dest, enum course_phase phase,
			  struct error *err)
{
	static const struct {
		enum course_side from;
		Migrate__Control__BodyCase body;
		enum course_phase opens;
	} steps[] = {
		{ COURSE_SOURCE, MIGRATE__CONTROL__BODY_HELLO, PHASE_HELLO },
		{ COURSE_DEST, MIGRATE__CONTROL__BODY_HELLO, PHASE_SETUP },
		{ COURSE_SOURCE, MIGRATE__CONTROL__BODY_SETUP, PHASE_ASKED },
		{ COURSE_DEST, MIGRATE__CONTROL__BODY_SETUP_REPLY, PHASE_PRECOPY },
		{ COURSE_SOURCE, MIGRATE__CONTROL__BODY_FROZEN, PHASE_FROZEN },
		{ COURSE_SOURCE, MIGRATE__CONTROL__BODY_RESTORE_GO, PHASE_RESTORE },
		{ COURSE_DEST, MIGRATE__CONTROL__BODY_READY, PHASE_READY },
		{ COURSE_SOURCE, MIGRATE__CONTROL__BODY_COMMIT, PHASE_COMMITTED },
		{ COURSE_DEST, MIGRATE__CONTROL__BODY_STARTED, PHASE_STARTED },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && steps[i].opens <= phase; i++) {
		bool ours = steps[i].from == COURSE_SOURCE;
		Migrate__Control *msg;

		if (walk_send(ours ? source : dest, steps[i].body, err))
			return -1;
		msg = control_expect(ours ? dest : source, steps[i].body, 10000, err);
		if (!msg)
			return -1;
		migrate__control__free_unpacked(msg, NULL);
	}
	return 0;
}

#endif
