// SPDX-License-Identifier: GPL-2.0
/* Every message in every phase, from either side, on both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "wire/course.h"

#define NR_BODIES	25

/* What may pass in each phase: written by hand from Documentation/protocol.rst. */
static const struct {
	const char *source, *dest;
} legal[NR_PHASES] = {
	[PHASE_HELLO] = { "hello abort heartbeat", "hello abort heartbeat" },
	[PHASE_SETUP] = { "setup abort heartbeat", "abort heartbeat" },
	[PHASE_ASKED] = { "abort heartbeat", "setup_reply abort heartbeat" },
	[PHASE_PRECOPY] = { "objects maps needs announce round_begin frozen abort heartbeat",
			    "round_ack needs_reply abort heartbeat" },
	[PHASE_FROZEN] = { "announce image_file restore_go abort heartbeat", "final_ack abort heartbeat" },
	[PHASE_RESTORE] = { "digests abort heartbeat",
			    "final_ack fetch_all attributes ready abort heartbeat" },
	[PHASE_READY] = { "commit abort heartbeat", "abort heartbeat" },
	[PHASE_COMMITTED] = { "heartbeat", "started abort heartbeat" },
	[PHASE_STARTED] = { "heartbeat", "died done heartbeat" },
	[PHASE_DONE] = { "killed heartbeat", "heartbeat" },
	[PHASE_ENDED] = { "heartbeat", "heartbeat" },
};

static const struct {
	const char *body;
	enum course_phase next;
} opens[] = {
	{ "setup", PHASE_ASKED }, { "setup_reply", PHASE_PRECOPY }, { "frozen", PHASE_FROZEN },
	{ "restore_go", PHASE_RESTORE }, { "ready", PHASE_READY },
	{ "commit", PHASE_COMMITTED }, { "started", PHASE_STARTED }, { "done", PHASE_DONE },
	{ "died", PHASE_ENDED }, { "killed", PHASE_ENDED }, { "abort", PHASE_ENDED },
};

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static enum course_phase expected_next(enum course_phase phase, const char *body)
{
	for (size_t i = 0; i < sizeof(opens) / sizeof(*opens); i++)
		if (!strcmp(opens[i].body, body))
			return opens[i].next;
	return phase;
}

static struct course in_phase(enum course_side side, enum course_phase phase)
{
	struct course course;

	course_init(&course, side);
	course.phase = phase;
	return course;
}

/* One end sends what the other one receives: both must agree, and with the list above. */
static void try_one(enum course_side from, enum course_phase phase, int body)
{
	enum course_side to = from == COURSE_SOURCE ? COURSE_DEST : COURSE_SOURCE;
	struct course sender = in_phase(from, phase), receiver = in_phase(to, phase);
	const char *name = course_body_name(body);
	const char *list = from == COURSE_SOURCE ? legal[phase].source : legal[phase].dest;
	struct error send_err = { 0 }, recv_err = { 0 };
	bool wanted = has_word(list, name);
	int sent = course_send(&sender, body, &send_err);
	int received = course_receive(&receiver, body, 1, &recv_err);

	if ((wanted ? 0 : -1) != sent || sent != received)
		print_message("%s in phase %s: sent %d, received %d\n", name,
			      course_phase_name(phase), sent, received);
	assert_int_equal(sent, wanted ? 0 : -1);
	assert_int_equal(received, wanted ? 0 : -1);
	assert_int_equal(send_err.code, wanted ? CODE_OK : CODE_INTERNAL);
	assert_int_equal(recv_err.code, wanted ? CODE_OK : CODE_PEER);
	assert_int_equal(sender.phase, wanted ? expected_next(phase, name) : phase);
	assert_int_equal(receiver.phase, sender.phase);
}

static void every_message_in_every_phase(void **state)
{
	int known = 0;

	for (int body = 0; body < 64; body++) {
		known += strcmp(course_body_name(body), "none") != 0;
		for (enum course_phase phase = 0; phase < NR_PHASES; phase++) {
			try_one(COURSE_SOURCE, phase, body);
			try_one(COURSE_DEST, phase, body);
		}
	}
	/* a message that is new in control.proto has to be thought about here */
	assert_int_equal(known, NR_BODIES);
}

static void two_hellos_open_setup(void **state)
{
	struct error err = { 0 };
	struct course course;

	course_init(&course, COURSE_DEST);
	assert_int_equal(course_send(&course, MIGRATE__CONTROL__BODY_HELLO, &err), 0);
	assert_int_equal(course.phase, PHASE_HELLO);
	assert_int_equal(course_receive(&course, MIGRATE__CONTROL__BODY_HELLO, 9, &err), 0);
	assert_int_equal(course.phase, PHASE_SETUP);

	course_init(&course, COURSE_DEST);
	assert_int_equal(course_receive(&course, MIGRATE__CONTROL__BODY_HELLO, 9, &err), 0);
	assert_int_equal(course_receive(&course, MIGRATE__CONTROL__BODY_HELLO, 9, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
}

/* One byte more than a kind may have is refused, in the first phase in which it is legal. */
static void each_kind_has_its_length(void **state)
{
	static const struct {
		enum course_side from;
		enum course_phase phase;
		const char *body;
		size_t longest;
	} kinds[] = {
		{ COURSE_SOURCE, PHASE_HELLO, "hello", 4096 },
		{ COURSE_DEST, PHASE_HELLO, "abort", 4096 },
		{ COURSE_SOURCE, PHASE_SETUP, "setup", 8 << 20 },
		{ COURSE_DEST, PHASE_ASKED, "setup_reply", 64 << 10 },
		{ COURSE_SOURCE, PHASE_PRECOPY, "maps", 8 << 20 },
		{ COURSE_SOURCE, PHASE_PRECOPY, "announce", 1024 },
		{ COURSE_SOURCE, PHASE_PRECOPY, "round_begin", 1024 },
		{ COURSE_DEST, PHASE_PRECOPY, "round_ack", 1024 },
		{ COURSE_SOURCE, PHASE_FROZEN, "image_file", (1 << 20) + 4096 },
		{ COURSE_SOURCE, PHASE_FROZEN, "restore_go", 8 << 20 },
		{ COURSE_SOURCE, PHASE_RESTORE, "digests", 256 << 10 },
		{ COURSE_DEST, PHASE_RESTORE, "ready", 1024 },
		{ COURSE_SOURCE, PHASE_READY, "commit", 1024 },
		{ COURSE_DEST, PHASE_STARTED, "heartbeat", 1024 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		enum course_side to = kinds[i].from == COURSE_SOURCE ? COURSE_DEST : COURSE_SOURCE;
		struct course course = in_phase(to, kinds[i].phase);
		int body = 1;

		while (strcmp(course_body_name(body), kinds[i].body))
			body++;
		for (int more = 0; more < 2; more++) {
			struct error err = { 0 };

			assert_int_equal(course_check(&course, body, kinds[i].longest + more, &err),
					 more ? -1 : 0);
			assert_int_equal(err.code, more ? CODE_PEER : CODE_OK);
			assert_int_equal(course.phase, kinds[i].phase);
		}
	}
}

#define THREADS	65536	/* as many as the source moves */

/* The attributes of all threads are one message. */
static void all_threads_fit(void **state)
{
	static Migrate__ThreadAttributes threads[THREADS], *list[THREADS];
	static uint8_t cpus[32] = { 1 };
	Migrate__Scheduling scheduling = MIGRATE__SCHEDULING__INIT;
	Migrate__Process process = MIGRATE__PROCESS__INIT, *processes[] = { &process };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct course course = in_phase(COURSE_DEST, PHASE_FROZEN);
	struct error err = { 0 };

	scheduling.nice = -20;
	scheduling.util_max = 1024;
	for (size_t i = 0; i < THREADS; i++) {
		migrate__thread_attributes__init(&threads[i]);
		threads[i].tid = 1 << 22;
		threads[i].timer_slack_ns = 50000;
		threads[i].io_priority = 4 << 13;
		threads[i].ambient = 1UL << 40;
		threads[i].has_cpus = true;
		threads[i].cpus.len = sizeof(cpus);
		threads[i].cpus.data = cpus;
		threads[i].scheduling = &scheduling;
		list[i] = &threads[i];
	}
	process.threads = list;
	process.n_threads = THREADS;
	go.processes = processes;
	go.n_processes = 1;
	assert_int_equal(course_check(&course, MIGRATE__CONTROL__BODY_RESTORE_GO,
				      migrate__restore_go__get_packed_size(&go) + 16, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_in_every_phase),
		cmocka_unit_test(two_hellos_open_setup),
		cmocka_unit_test(each_kind_has_its_length),
		cmocka_unit_test(all_threads_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
