// SPDX-License-Identifier: GPL-2.0
/* The rounds of pre-copy, with a backend and a destination of the test. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/precopy.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/fake_backend.h"

#define MMS	2
#define PAGES	100

/**
 * struct dest - what the destination saw, by object where there are two
 * @marks: of rounds; @acks: it sent so many, each @ack_ahead too high
 */
struct dest {
	struct control *ctl;
	struct conn memory;
	uint64_t pages[MMS + 1], stale[MMS + 1], dropped[MMS + 1];
	unsigned int marks[MMS + 1], acks, ack_ahead;
	pthread_t frames, control;
};

struct bench {
	struct fake fakes[MMS];
	struct tree tree;
	struct conn conn;
	struct sender sender;
	struct control *ctl;
	struct mailbox box;
	struct figures figures;
	struct precopy pre;
	pthread_t receiver;
	struct dest dest;
	struct error err;
};

static void ack(struct dest *dest, uint32_t round)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RoundAck body = MIGRATE__ROUND_ACK__INIT;
	struct error err = { 0 };

	body.round = round + dest->ack_ahead;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_ACK;
	msg.round_ack = &body;
	if (!control_send(dest->ctl, &msg, &err))
		dest->acks++;
}

static void *frames_body(void *arg)
{
	static uint8_t pages[FRAME_MAX_PAGES * PAGE_BYTES];
	struct dest *dest = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&dest->memory, -1, &frame, &err) == 1) {
		uint32_t object = FRAME_OBJECT_OF(frame.cookie);
		uint32_t round = FRAME_ROUND_OF(frame.cookie);
		uint64_t nr = 0;

		assert_in_range(object, 1, MMS);
		for (uint32_t i = 0; i < frame.nr_runs; i++)
			nr += frame.runs[i].nr_pages;
		dest->pages[object] += frame.kind == FRAME_PAGES ? nr : 0;
		dest->stale[object] += frame.kind == FRAME_STALE ? nr : 0;
		dest->dropped[object] += frame.kind == FRAME_DROPPED ? nr : 0;
		dest->marks[object] += frame.kind == FRAME_ROUND;
		if (frame.kind == FRAME_PAGES &&
		    conn_read(&dest->memory, pages, nr * PAGE_BYTES, 10000, &err))
			break;
		/* a round is over when it is over for each object */
		if (frame.kind == FRAME_ROUND && dest->marks[1] == round && dest->marks[2] == round)
			ack(dest, round);
	}
	frame_free(&frame);
	return NULL;
}

/* Announce, Maps and RoundBegin: of no interest here. */
static void *drain_body(void *arg)
{
	struct dest *dest = arg;
	struct error err = { 0 };
	Migrate__Control *msg;

	while ((msg = control_recv(dest->ctl, -1, &err)))
		migrate__control__free_unpacked(msg, NULL);
	return NULL;
}

static void *receive_body(void *arg)
{
	struct bench *bench = arg;
	struct error err = { 0 };

	mailbox_receive(&bench->box, bench->ctl, &err);
	mailbox_hang_up(&bench->box);
	return NULL;
}

/* The mappings are this process's own, so that each list of mappings has the pages of the test. */
static int map_pages(void)
{
	void *at = mmap((void *)FAKE_BASE, MMS * PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return at == (void *)FAKE_BASE ? 0 : -1;
}

static int make_tree(struct bench *bench)
{
	for (int i = 0; i < MMS; i++) {
		struct source_process *process = tree_add(&bench->tree, getpid(), &bench->err);

		if (!process || source_mm_read_vmas(&process->mm, &bench->err))
			return -1;
		fake_init(&bench->fakes[i]);
		process->mm.backend = &bench->fakes[i].backend;
		fake_add_scan(&bench->fakes[i], 0, run_of(0, PAGES, SPLICE_VM_RUN_DIRTY));
	}
	return 0;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int control[2], memory[2];

	*state = bench;
	if (map_pages() || make_tree(bench) || socketpair(AF_UNIX, SOCK_STREAM, 0, control) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, memory))
		return -1;
	bench->ctl = control_new(CONN(control[0]), COURSE_SOURCE, &bench->err);
	bench->dest.ctl = control_new(CONN(control[1]), COURSE_DEST, &bench->err);
	if (walk_to(bench->ctl, bench->dest.ctl, PHASE_PRECOPY, &bench->err))
		return -1;
	bench->conn = (struct conn){ .fd = memory[0] };
	bench->dest.memory = (struct conn){ .fd = memory[1] };
	mailbox_init(&bench->box, "the destination");
	bench->pre = (struct precopy){
		.tree = &bench->tree, .sender = &bench->sender, .ctl = bench->ctl,
		.box = &bench->box, .figures = &bench->figures, .mode = MODE_AUTO,
		/* only what is clean fits */
		.rule = { .max_rounds = 5, .max_downtime_ns = 1 },
	};
	return sender_init(&bench->sender, &bench->conn, true, &bench->err) ||
	       pthread_create(&bench->receiver, NULL, receive_body, bench) ||
	       pthread_create(&bench->dest.frames, NULL, frames_body, &bench->dest) ||
	       pthread_create(&bench->dest.control, NULL, drain_body, &bench->dest) ? -1 : 0;
}

/* All that was sent has come. */
static void hang_up(struct bench *bench)
{
	if (!conn_is_open(&bench->conn))
		return;
	conn_close(&bench->conn);
	pthread_join(bench->dest.frames, NULL);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	hang_up(bench);
	mailbox_close(&bench->box);
	control_shutdown(bench->ctl);
	pthread_join(bench->receiver, NULL);
	pthread_join(bench->dest.control, NULL);
	control_close(bench->ctl);
	control_close(bench->dest.ctl);
	conn_close(&bench->dest.memory);
	sender_destroy(&bench->sender);
	tree_destroy(&bench->tree);
	figures_free(&bench->figures);
	mailbox_destroy(&bench->box);
	munmap((void *)FAKE_BASE, MMS * PAGES * PAGE_BYTES);
	free(bench);
	return 0;
}

static void run(struct bench *bench)
{
	assert_int_equal(precopy_run(&bench->pre, &bench->err), 0);
	hang_up(bench);
}

/* One address space is clean after the first round, the other one after the second. */
static void rounds_until_all_is_clean(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[1], 1, run_of(10, 30, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->pre.rounds, 2);
	assert_int_equal(bench->figures.nr_rounds, 2);
	assert_int_equal(bench->figures.rounds[0].pages, 2 * PAGES);
	assert_int_equal(bench->figures.rounds[0].dirty_pages, 30);
	assert_int_equal(bench->figures.rounds[1].pages, 30);
	assert_int_equal(bench->figures.rounds[1].dirty_pages, 0);
	assert_int_equal(bench->dest.pages[1], PAGES);
	assert_int_equal(bench->dest.pages[2], PAGES + 30);
	assert_int_equal(bench->dest.acks, 2);
	for (int i = 1; i <= MMS; i++) {
		assert_int_equal(bench->dest.marks[i], 2);
		assert_int_equal(tree_find_mm(&bench->tree, i)->dest_current.nr, PAGES);
		assert_int_equal(bench->dest.stale[i], 0);
	}
}

/* What is dirty after the last round is old at the destination. */
static void the_last_dirty_pages_are_stale(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = tree_find_mm(&bench->tree, 1);

	bench->pre.rule.max_rounds = 1;
	fake_add_scan(&bench->fakes[0], 1, run_of(10, 30, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->pre.rounds, 1);
	assert_int_equal(bench->dest.stale[1], 30);
	assert_int_equal(mm->dest_current.nr, PAGES - 30);
	/* the freeze begins with nothing */
	assert_int_equal(mm->dirty.nr, 0);
}

static void dropped_pages_are_told(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[1], 1, run_of(50, 5, SPLICE_VM_RUN_DROPPED));
	run(bench);
	assert_int_equal(bench->dest.dropped[2], 5);
	assert_int_equal(tree_find_mm(&bench->tree, 2)->dest_current.nr, PAGES - 5);
}

/* Not in any mapping: they were unmapped since the scan. */
static void pages_without_a_mapping_are_not_sent(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[0], 0, run_of(MMS * PAGES, 7, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->dest.pages[1], PAGES);
}

/* CRIU goes by the soft-dirty bits: they are followed, and nothing is sent. */
static void no_rounds_in_mode_postcopy(void **state)
{
	struct bench *bench = *state;

	bench->pre.mode = MODE_POSTCOPY;
	run(bench);
	assert_int_equal(bench->fakes[0].tracked, 1);
	assert_int_equal(bench->fakes[0].nr_scans, 1);
	assert_int_equal(bench->pre.rounds, 0);
	assert_int_equal(bench->dest.pages[1] + bench->dest.stale[1], 0);
}

static void nothing_is_followed_when_nobody_goes_by_it(void **state)
{
	struct bench *bench = *state;

	bench->pre.mode = MODE_POSTCOPY;
	for (int i = 0; i < MMS; i++)
		bench->fakes[i].backend.criu_tracks = false;
	run(bench);
	assert_int_equal(bench->fakes[0].tracked, 0);
	assert_int_equal(bench->fakes[0].nr_scans, 0);
}

static void the_wrong_round_is_acknowledged(void **state)
{
	struct bench *bench = *state;

	bench->dest.ack_ahead = 1;
	assert_int_equal(precopy_run(&bench->pre, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

static void a_failure_ends_the_rounds(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct bench *bench = *state;

	mailbox_lock(&bench->box);
	mailbox_fail_locked(&bench->box, &why, true);
	mailbox_unlock(&bench->box);
	assert_int_equal(precopy_run(&bench->pre, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_ABORTED);
	assert_int_equal(bench->fakes[0].sent, 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(rounds_until_all_is_clean), BENCH_TEST(the_last_dirty_pages_are_stale),
		BENCH_TEST(dropped_pages_are_told),
		BENCH_TEST(pages_without_a_mapping_are_not_sent),
		BENCH_TEST(no_rounds_in_mode_postcopy),
		BENCH_TEST(nothing_is_followed_when_nobody_goes_by_it),
		BENCH_TEST(the_wrong_round_is_acknowledged), BENCH_TEST(a_failure_ends_the_rounds),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
