// SPDX-License-Identifier: GPL-2.0
/* A page that processes share, and for which one of them waits: the answer is for all. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/requests.h"
#include "tests/sharers_bench.h"

static void ask(struct bench *bench, uint32_t object, uint64_t page, uint32_t nr)
{
	const struct splice_vm_run run = run_of(page, nr, 0);

	assert_int_equal(frame_send(&bench->dest, FRAME_REQUEST, FRAME_COOKIE(0, object), &run, 1,
				    &bench->err), 0);
}

static void answer_all(struct bench *bench)
{
	struct requests requests = {
		.tree = &bench->tree, .sender = &bench->sender, .box = &bench->box,
	};

	bench->sender.keeps_current = false;
	shutdown(bench->dest.fd, SHUT_WR);
	assert_int_equal(requests_serve(&requests, &bench->err), 0);
	see(bench);
}

static void an_answer_is_for_all(void **state)
{
	struct bench *bench = *state;

	skip_without_frames();
	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ask(bench, SECOND, 70, 4);
	/* two of them are on their way already */
	ask(bench, FIRST, 72, 4);
	ask(bench, PARENT, 70, 6);
	answer_all(bench);
	assert_int_equal(bench->seen.pages[SECOND], 4);
	assert_int_equal(bench->seen.pages[FIRST], 2);
	assert_int_equal(bench->seen.pages[PARENT], 0);
	assert_int_equal(tree_find_mm(&bench->tree, PARENT)->unsent.nr, PAGES - 6);
	assert_int_equal(tree_find_mm(&bench->tree, FIRST)->unsent.nr, PAGES - 6);
}

/* What is fetched for the images of one process is of no use to the others, which may not exist yet. */
static void an_answer_before_commit_is_for_one(void **state)
{
	struct bench *bench = *state;

	ask(bench, SECOND, 70, 4);
	ask(bench, FIRST, 70, 4);
	ask(bench, FIRST, 70, 4);
	answer_all(bench);
	assert_int_equal(bench->seen.pages[SECOND], 4);
	assert_int_equal(bench->seen.pages[FIRST], 8);
	assert_int_equal(tree_find_mm(&bench->tree, PARENT)->unsent.nr, PAGES);
}

static int cannot_send(struct backend *backend, struct backend_send *send,
		       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		       void *ctx, struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "the process has ended");
}

static int cannot_read(struct backend *backend, uint64_t addr, void *buf, size_t size, size_t *done,
		       struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "the page is lost");
}

/* The process that asked gets the page, though the others cannot be listed. */
static void without_memory_the_page_is_sent(void **state)
{
	struct bench *bench = *state;

	skip_without_frames();
	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ask(bench, PARENT, 70, 4);
	no_memory = 1;
	answer_all(bench);
	assert_int_equal(no_memory, 0);
	assert_int_equal(bench->seen.pages[PARENT], 4);
}

/* What was named for pages that did not come is still at the destination: the list must not grow. */
static void after_a_failed_answer_no_list_comes(void **state)
{
	struct bench *bench = *state;
	struct source_mm *parent = tree_find_mm(&bench->tree, PARENT);
	const struct splice_vm_run run = run_of(100, 4, 0);
	static struct backend_ops ops;

	skip_without_frames();
	ops = fake_ops;
	ops.send = cannot_send;
	ops.read = cannot_read;
	bench->fakes[0].backend.ops = &ops;
	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ask(bench, PARENT, 70, 4);
	answer_all(bench);
	bench->fakes[0].backend.ops = &fake_ops;
	reads = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reads, 0);
		sharers_send(&bench->tree, &bench->sender, parent, &run, 1, &bench->err);
	}
	assert_true(reads);
}

/* The others were told that the page comes, and it did not: they ask for it. */
static void an_answer_that_failed_is_given_again(void **state)
{
	struct bench *bench = *state;
	static struct backend_ops ops;

	skip_without_frames();
	ops = fake_ops;
	ops.send = cannot_send;
	ops.read = cannot_read;
	bench->fakes[0].backend.ops = &ops;
	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	ask(bench, PARENT, 70, 4);
	ask(bench, FIRST, 70, 4);
	answer_all(bench);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 4);
	assert_int_equal(bench->seen.pages[FIRST], 4);
	bench->fakes[0].backend.ops = &fake_ops;
}

/** struct reader - one connection at the destination, until the source closes its end */
struct reader {
	struct conn conn;
	pthread_t thread;
	pthread_mutex_t *lock;
	struct page_set *covered;
};

/* A page is there for an object when it comes, and when it comes for one for which ALSO has named it. */
static void *reader_body(void *arg)
{
	struct reader *reader = arg;
	uint8_t *pages = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&reader->conn, -1, &frame, &err) == 1) {
		bool has = frame.kind == FRAME_PAGES || frame.kind == FRAME_ALSO;

		pthread_mutex_lock(reader->lock);
		for (uint32_t i = 0; has && i < frame.nr_runs; i++)
			page_set_add(&reader->covered[FRAME_OBJECT_OF(frame.cookie)],
				     frame.runs[i].addr, frame.runs[i].nr_pages, &err);
		pthread_mutex_unlock(reader->lock);
		if (frame.kind == FRAME_PAGES &&
		    conn_read(&reader->conn, pages, frame.nr_pages * PAGE_BYTES, 0, &err))
			break;
	}
	frame_free(&frame);
	free(pages);
	return NULL;
}

static void *push_body(void *arg)
{
	struct bench *bench = arg;
	struct push push = {
		.tree = &bench->tree, .sender = &bench->sender, .box = &bench->box,
	};

	return push_run(&push, &bench->err) ? bench : NULL;
}

static void ask_at_random(struct conn *conn)
{
	struct error err = { 0 };

	srand(3);
	for (int i = 0; i < 60; i++) {
		const struct splice_vm_run run = run_of(rand() % (PAGES - 8), 1 + rand() % 8, 0);

		frame_send(conn, FRAME_REQUEST, FRAME_COOKIE(0, PARENT + rand() % 3), &run, 1, &err);
	}
	shutdown(conn->fd, SHUT_WR);
}

/* The thread that claims a page sends the page. */
static void push_and_answers_together_send_all(void **state)
{
	struct bench *bench = *state;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct page_set covered[SECOND + 1];
	struct reader memory = { .conn = bench->dest, .lock = &lock, .covered = covered }, urgent = memory;
	struct requests requests = { .tree = &bench->tree, .box = &bench->box };
	struct conn urgent_conn;
	struct sender sender;
	struct error err = { 0 };
	pthread_t push;
	void *failed;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	urgent_conn = (struct conn){ .fd = pair[0] };
	urgent.conn = (struct conn){ .fd = pair[1] };
	for (int i = PARENT; i <= SECOND; i++)
		page_set_init(&covered[i]);
	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &err), 0);
	assert_int_equal(sender_init(&sender, &urgent_conn, false, &err), 0);
	requests.sender = &sender;
	pthread_create(&memory.thread, NULL, reader_body, &memory);
	pthread_create(&urgent.thread, NULL, reader_body, &urgent);
	ask_at_random(&urgent.conn);
	pthread_create(&push, NULL, push_body, bench);
	assert_int_equal(requests_serve(&requests, &err), 0);
	pthread_join(push, &failed);
	assert_null(failed);
	shutdown(bench->conn.fd, SHUT_WR);
	shutdown(pair[0], SHUT_WR);
	pthread_join(memory.thread, NULL);
	pthread_join(urgent.thread, NULL);
	for (int i = PARENT; i <= SECOND; i++) {
		assert_int_equal(covered[i].nr, PAGES);
		page_set_destroy(&covered[i]);
	}
	sender_destroy(&sender);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(an_answer_is_for_all), BENCH_TEST(an_answer_before_commit_is_for_one),
		BENCH_TEST(without_memory_the_page_is_sent),
		BENCH_TEST(after_a_failed_answer_no_list_comes),
		BENCH_TEST(an_answer_that_failed_is_given_again),
		BENCH_TEST(push_and_answers_together_send_all),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
