// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "wire/course.h"

#define KIB		1024U
#define MIB		(1024U * KIB)

/* A list of 65,000 mappings with long names has some 7 MiB. */
#define MAPS_BYTES	(8 * MIB)

/* Attributes of 65,536 threads, each with a list of some hundred CPUs. */
#define GO_BYTES	(8 * MIB)

#define SAME		NR_PHASES	/* the message opens no new phase */
#define IN(phase)	(1U << (phase))
#define FROM_TO(a, b)	((IN((b) + 1) - 1) & ~(IN(a) - 1))

/**
 * struct course_rule - one kind of message
 * @from: sides that may send the message
 * @phases: phases in which the message may pass; bits
 * @next: the phase that the message opens, or SAME
 * @longest: most bytes of the message
 */
struct course_rule {
	Migrate__Control__BodyCase body;
	unsigned int from, phases;
	enum course_phase next;
	uint32_t longest;
};

#define BODY(name) MIGRATE__CONTROL__BODY_##name

static const struct course_rule rules[] = {
	{ BODY(HELLO), COURSE_SOURCE | COURSE_DEST, IN(PHASE_HELLO), SAME, 4 * KIB },
	{ BODY(SETUP), COURSE_SOURCE, IN(PHASE_SETUP), PHASE_ASKED, MAPS_BYTES },
	{ BODY(SETUP_REPLY), COURSE_DEST, IN(PHASE_ASKED), PHASE_PRECOPY, 64 * KIB },
	{ BODY(OBJECTS), COURSE_SOURCE, IN(PHASE_PRECOPY), SAME, MIB },
	{ BODY(MAPS), COURSE_SOURCE, IN(PHASE_PRECOPY), SAME, MAPS_BYTES },
	{ BODY(NEEDS), COURSE_SOURCE, IN(PHASE_PRECOPY), SAME, MAPS_BYTES },
	{ BODY(NEEDS_REPLY), COURSE_DEST, IN(PHASE_PRECOPY), SAME, 64 * KIB },
	{ BODY(ANNOUNCE), COURSE_SOURCE, IN(PHASE_PRECOPY) | IN(PHASE_FROZEN), SAME, KIB },
	{ BODY(ROUND_BEGIN), COURSE_SOURCE, IN(PHASE_PRECOPY), SAME, KIB },
	{ BODY(ROUND_ACK), COURSE_DEST, IN(PHASE_PRECOPY), SAME, KIB },
	{ BODY(FROZEN), COURSE_SOURCE, IN(PHASE_PRECOPY), PHASE_FROZEN, KIB },
	/* the images, on control, may overtake the lists of pages on the memory connection */
	{ BODY(FINAL_ACK), COURSE_DEST, IN(PHASE_FROZEN) | IN(PHASE_RESTORE), SAME, KIB },
	{ BODY(IMAGE_FILE), COURSE_SOURCE, IN(PHASE_FROZEN), SAME, MIB + 4 * KIB },
	{ BODY(RESTORE_GO), COURSE_SOURCE, IN(PHASE_FROZEN), PHASE_RESTORE, GO_BYTES },
	{ BODY(FETCH_ALL), COURSE_DEST, IN(PHASE_RESTORE), SAME, KIB },
	{ BODY(DIGESTS), COURSE_SOURCE, IN(PHASE_RESTORE), SAME, 256 * KIB },
	{ BODY(ATTRIBUTES), COURSE_DEST, IN(PHASE_RESTORE), SAME, 256 * KIB },
	{ BODY(READY), COURSE_DEST, IN(PHASE_RESTORE), PHASE_READY, KIB },
	{ BODY(COMMIT), COURSE_SOURCE, IN(PHASE_READY), PHASE_COMMITTED, KIB },
	{ BODY(STARTED), COURSE_DEST, IN(PHASE_COMMITTED), PHASE_STARTED, KIB },
	/* a row for each process that lost memory */
	{ BODY(DIED), COURSE_DEST, IN(PHASE_STARTED), PHASE_ENDED, 64 * KIB },
	{ BODY(DONE), COURSE_DEST, IN(PHASE_STARTED), PHASE_DONE, 64 * KIB },
	{ BODY(KILLED), COURSE_SOURCE, IN(PHASE_DONE), PHASE_ENDED, KIB },
	/* the source never aborts after Commit; the destination may until the tasks have started */
	{ BODY(ABORT), COURSE_SOURCE, FROM_TO(PHASE_HELLO, PHASE_READY), PHASE_ENDED, 4 * KIB },
	{ BODY(ABORT), COURSE_DEST, FROM_TO(PHASE_HELLO, PHASE_COMMITTED), PHASE_ENDED, 4 * KIB },
	{ BODY(HEARTBEAT), COURSE_SOURCE | COURSE_DEST, FROM_TO(PHASE_HELLO, PHASE_ENDED), SAME,
	  KIB },
};

#define NR_RULES	(sizeof(rules) / sizeof(*rules))

static const char *const phase_names[NR_PHASES] = {
	[PHASE_HELLO] = "hello", [PHASE_SETUP] = "setup", [PHASE_ASKED] = "answer to setup",
	[PHASE_PRECOPY] = "pre-copy", [PHASE_FROZEN] = "frozen", [PHASE_RESTORE] = "restore",
	[PHASE_READY] = "ready", [PHASE_COMMITTED] = "committed", [PHASE_STARTED] = "started",
	[PHASE_DONE] = "done", [PHASE_ENDED] = "ended",
};

const char *course_phase_name(enum course_phase phase)
{
	return phase < NR_PHASES ? phase_names[phase] : "none";
}

const char *course_body_name(Migrate__Control__BodyCase body)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&migrate__control__descriptor, body);

	return field ? field->name : "none";
}

void course_init(struct course *course, enum course_side side)
{
	*course = (struct course){ .side = side, .phase = PHASE_HELLO };
}

static enum course_side other(enum course_side side)
{
	return side == COURSE_SOURCE ? COURSE_DEST : COURSE_SOURCE;
}

static bool is_legal(const struct course *course, const struct course_rule *rule,
		     enum course_side from)
{
	if (!(rule->from & from) || !(rule->phases & IN(course->phase)))
		return false;
	return rule->body != BODY(HELLO) || !(course->hellos & from);
}

static const struct course_rule *find_rule(const struct course *course,
					   Migrate__Control__BodyCase body, enum course_side from)
{
	for (size_t i = 0; i < NR_RULES; i++)
		if (rules[i].body == body && is_legal(course, &rules[i], from))
			return &rules[i];
	return NULL;
}

static void advance(struct course *course, const struct course_rule *rule, enum course_side from)
{
	if (rule->next != SAME)
		course->phase = rule->next;
	if (rule->body != BODY(HELLO))
		return;
	course->hellos |= from;
	if (course->hellos == (COURSE_SOURCE | COURSE_DEST))
		course->phase = PHASE_SETUP;
}

int course_send(struct course *course, Migrate__Control__BodyCase body, struct error *err)
{
	const struct course_rule *rule = find_rule(course, body, course->side);

	if (!rule)
		return error_set(err, CODE_INTERNAL, NULL,
				 "message %s cannot be sent in phase \"%s\"",
				 course_body_name(body), course_phase_name(course->phase));
	advance(course, rule, course->side);
	return 0;
}

int course_check(const struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		 struct error *err)
{
	const struct course_rule *rule = find_rule(course, body, other(course->side));

	/* a message that no version knows, and the first one */
	if (!rule && course->phase == PHASE_HELLO && !strcmp(course_body_name(body), "none"))
		return error_set(err, CODE_PEER, "look which program listens there, or calls",
				 "the other side does not speak like migrate-helper");
	if (!rule)
		return error_set(err, CODE_PEER, "use the same version on both sides",
				 "the other side sent message %s in phase \"%s\"",
				 course_body_name(body), course_phase_name(course->phase));
	if (bytes > rule->longest)
		return error_set(err, CODE_PEER, "use the same version on both sides",
				 "the other side sent message %s of %zu bytes, more than %u",
				 course_body_name(body), bytes, rule->longest);
	return 0;
}

int course_receive(struct course *course, Migrate__Control__BodyCase body, size_t bytes,
		   struct error *err)
{
	enum course_side from = other(course->side);

	if (course_check(course, body, bytes, err))
		return -1;
	advance(course, find_rule(course, body, from), from);
	return 0;
}
