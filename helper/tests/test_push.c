// SPDX-License-Identifier: GPL-2.0
/* The push: each unsent page of each address space, once. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/push.h"
#include "tests/fake_backend.h"

#define PAGES	1500

/* What the other end saw of one object. */
struct seen {
	uint64_t pages, lost;
	unsigned int pushed, ended;
};

struct bench {
	struct fake fakes[2];
	struct tree tree;
	struct conn conn, dest;
	struct sender sender;
	struct mailbox box;
	struct push push;
	struct seen seen[3];
	pthread_t reader;
	struct error err;
};

static void *reader_body(void *arg)
{
	static uint8_t pages[FRAME_MAX_PAGES * PAGE_BYTES];
	struct bench *bench = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&bench->dest, -1, &frame, &err) == 1) {
		struct seen *seen = &bench->seen[FRAME_OBJECT_OF(frame.cookie) % 3];

		if (frame.kind == FRAME_PUSHED)
			seen->pushed++;
		if (frame.kind == FRAME_ENDED)
			seen->ended++;
		if (frame.kind == FRAME_LOST)
			seen->lost += frame.nr_pages;
		if (frame.kind != FRAME_PAGES)
			continue;
		seen->pages += frame.nr_pages;
		if (conn_read(&bench->dest, pages, frame.nr_pages * PAGE_BYTES, 10000, &err))
			break;
	}
	frame_free(&frame);
	return NULL;
}

/* A tree of two: this process, twice. */
static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	*state = bench;
	for (int i = 0; i < 2; i++) {
		struct source_process *process = tree_add(&bench->tree, getpid(), &bench->err);

		if (!process)
			return -1;
		fake_init(&bench->fakes[i]);
		process->mm.backend = &bench->fakes[i].backend;
		if (page_set_add(&process->mm.populated, AT(i), PAGES, &bench->err) ||
		    page_set_add(&process->mm.dest_current, AT(i + 700), 100, &bench->err) ||
		    source_mm_find_unsent(&process->mm, &bench->err))
			return -1;
	}
	mailbox_init(&bench->box, "the destination");
	bench->push = (struct push){
		.tree = &bench->tree, .sender = &bench->sender, .box = &bench->box,
	};
	return sender_init(&bench->sender, &bench->conn, true, &bench->err) ||
	       pthread_create(&bench->reader, NULL, reader_body, bench) ? -1 : 0;
}

/* The other end has seen all. */
static void hang_up(struct bench *bench)
{
	if (!conn_is_open(&bench->conn))
		return;
	conn_close(&bench->conn);
	pthread_join(bench->reader, NULL);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	hang_up(bench);
	conn_close(&bench->dest);
	sender_destroy(&bench->sender);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

static void each_page_once(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(push_run(&bench->push, &bench->err), 0);
	/* it was done before --verify compared, and Started comes */
	assert_int_equal(push_run(&bench->push, &bench->err), 0);
	hang_up(bench);
	for (int i = 1; i <= 2; i++) {
		struct source_mm *mm = tree_find_mm(&bench->tree, i);

		assert_int_equal(bench->seen[i].pages, PAGES - 100);
		assert_int_equal(bench->seen[i].pushed, 1);
		assert_int_equal(mm->unsent.nr, 0);
		assert_int_equal(mm->dest_current.nr, PAGES);
	}
	assert_int_equal(bench->seen[0].pages, 0);
}

static void not_what_was_requested(void **state)
{
	const struct splice_vm_run run = run_of(10, 5, 0);
	struct bench *bench = *state;

	source_mm_claim(&tree_root(&bench->tree)->mm, &run, 1);
	assert_int_equal(push_run(&bench->push, &bench->err), 0);
	hang_up(bench);
	assert_int_equal(bench->seen[1].pages, PAGES - 105);
}

static void a_failure_ends_it(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "a test" };
	struct bench *bench = *state;

	mailbox_lock(&bench->box);
	mailbox_fail_locked(&bench->box, &why, false);
	mailbox_unlock(&bench->box);
	assert_int_equal(push_run(&bench->push, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_ABORTED);
	hang_up(bench);
	assert_int_equal(bench->seen[1].pages + bench->seen[2].pages, 0);
	assert_int_equal(bench->seen[1].pushed, 0);
}

static int cannot_send(struct backend *backend, struct backend_send *send,
		       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		       void *ctx, struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "the process has ended");
}

/* Before COMMIT (--verify) it ends the migration. */
static void before_commit_all_can_be_read(void **state)
{
	struct bench *bench = *state;
	struct backend_ops ops = fake_ops;

	ops.send = cannot_send;
	bench->fakes[0].backend.ops = &ops;
	assert_int_equal(push_run(&bench->push, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_TARGET);
	assert_false(bench->push.done);
	hang_up(bench);
	assert_int_equal(bench->seen[1].pushed, 0);
	bench->fakes[0].backend.ops = &fake_ops;
}

/* One process was killed after COMMIT: PUSHED is said of both, and the other one is whole. */
static void a_killed_process_is_lost_alone(void **state)
{
	struct bench *bench = *state;
	struct backend_ops ops = fake_ops;

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ops.send = cannot_send;
	bench->fakes[0].backend.ops = &ops;
	bench->fakes[0].gone = true;
	assert_int_equal(push_run(&bench->push, &bench->err), 0);
	assert_true(bench->push.done);
	hang_up(bench);
	assert_int_equal(bench->seen[1].ended, 1);
	assert_int_equal(bench->seen[1].pushed, 1);
	assert_int_equal(bench->seen[2].ended, 0);
	assert_int_equal(bench->seen[2].pages, PAGES - 100);
	assert_int_equal(bench->seen[2].pushed, 1);
	bench->fakes[0].backend.ops = &fake_ops;
}

/* The push goes on behind the first run that cannot be read. */
static void bad_pages_are_lost_alone(void **state)
{
	struct bench *bench = *state;
	struct backend_ops ops = fake_ops;

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ops.send = cannot_send;
	bench->fakes[0].backend.ops = &ops;
	bench->fakes[0].unreadable = 500;
	assert_int_equal(push_run(&bench->push, &bench->err), 0);
	hang_up(bench);
	assert_int_equal(bench->seen[1].pages, 500);
	assert_int_equal(bench->seen[1].lost, PAGES - 100 - 500);
	assert_int_equal(bench->seen[1].pushed, 1);
	assert_int_equal(bench->seen[2].pages, PAGES - 100);
	bench->fakes[0].backend.ops = &fake_ops;
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(each_page_once), BENCH_TEST(not_what_was_requested),
		BENCH_TEST(a_failure_ends_it), BENCH_TEST(before_commit_all_can_be_read),
		BENCH_TEST(a_killed_process_is_lost_alone), BENCH_TEST(bad_pages_are_lost_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
