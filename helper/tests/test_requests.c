// SPDX-License-Identifier: GPL-2.0
/* The pages that a destination may request. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/requests.h"
#include "tests/conn_fd.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

/* A backend that can send nothing: the request has been found good when the backend is called. */
static int send_nothing(struct backend *backend, struct backend_send *send,
			const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
			void *ctx, struct error *err)
{
	return error_set(err, CODE_INTERNAL, NULL, "this is a test");
}

static int read_nothing(struct backend *backend, uint64_t addr, void *buf, size_t bytes,
			size_t *done, struct error *err)
{
	*done = 0;
	return 0;
}

static bool is_there(struct backend *backend)
{
	return false;
}

static const struct backend_ops backend_ops = {
	.send = send_nothing, .read = read_nothing, .is_gone = is_there,
};
static struct backend backend = { .ops = &backend_ops };

/** struct bench - a process of the test's own, whose mappings are made up */
struct bench {
	struct tree tree;
	struct source_mm *mm;
	struct vma vmas[4];
	struct vma_list list;
	struct conn conn;
	struct sender urgent;
	struct mailbox box;
	struct requests requests;
	int dest;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct error err = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || !tree_add(&bench->tree, getpid(), &err))
		return -1;
	bench->vmas[0] = (struct vma){ .start = AT(0), .end = AT(10) };
	bench->vmas[1] = (struct vma){ .start = AT(10), .end = AT(20) };
	bench->vmas[2] = (struct vma){ .start = AT(30), .end = AT(40), .shared = true };
	bench->vmas[3] = (struct vma){ .start = AT(50), .end = AT(52), .special = true };
	bench->list = (struct vma_list){ .vmas = bench->vmas, .nr = 4 };
	bench->mm = &tree_root(&bench->tree)->mm;
	bench->mm->backend = &backend;
	bench->mm->frozen_vmas = &bench->list;
	bench->mm->final = true;
	bench->tree.fixed = true;
	assert_int_equal(page_set_add(&bench->mm->unsent, AT(0), 20, &err), 0);
	bench->dest = pair[1];
	bench->conn = (struct conn){ .fd = pair[0] };
	if (sender_init(&bench->urgent, &bench->conn, false, &err))
		return -1;
	mailbox_init(&bench->box, "the destination");
	bench->requests = (struct requests){
		.tree = &bench->tree, .sender = &bench->urgent, .box = &bench->box,
	};
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn);
	sender_destroy(&bench->urgent);
	bench->mm->backend = NULL;
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

static enum exit_code ask_of(struct bench *bench, uint32_t object, uint64_t page, uint32_t nr)
{
	struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };
	struct error err = { 0 };

	assert_int_equal(frame_send(CONN(bench->dest), FRAME_REQUEST, FRAME_COOKIE(0, object), &run,
				    1, &err), 0);
	close(bench->dest);
	assert_int_equal(requests_serve(&bench->requests, &err), -1);
	return err.code;
}

/* Why it failed; a good request fails too. */
static enum exit_code ask(struct bench *bench, uint64_t page, uint32_t nr)
{
	return ask_of(bench, bench->mm->object, page, nr);
}

static void pages_of_it_are_served(void **state)
{
	struct bench *bench = *state;

	assert_int_not_equal(ask(bench, 5, 10), CODE_PEER);
	/* they are not pushed too */
	assert_int_equal(bench->mm->unsent.nr, 10);
	assert_false(page_set_has(&bench->mm->unsent, AT(5)));
}

/* How many pages of each kind are told as lost after COMMIT, of those that are asked for. */
static uint64_t lost_of(struct bench *bench, uint64_t page, uint32_t nr)
{
	struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };
	struct frame frame = { 0 };
	struct error err = { 0 };
	uint64_t lost = 0;

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &err), 0);
	assert_int_equal(frame_send(CONN(bench->dest), FRAME_REQUEST,
				    FRAME_COOKIE(0, bench->mm->object), &run, 1, &err), 0);
	shutdown(bench->dest, SHUT_WR);
	assert_int_equal(requests_serve(&bench->requests, &err), 0);
	conn_close(&bench->conn);
	while (frame_recv(CONN(bench->dest), 10000, &frame, &err) == 1) {
		assert_int_equal(frame.kind, FRAME_LOST);
		lost += frame.nr_pages;
	}
	frame_free(&frame);
	close(bench->dest);
	return lost;
}

/* Before COMMIT a page that cannot be read ends the migration; later, other processes wait for theirs. */
static void after_commit_lost_pages_are_told(void **state)
{
	assert_int_equal(lost_of(*state, 5, 3), 3);
}

/* What the push took before may be on its way. */
static void what_was_sent_may_not_be_lost(void **state)
{
	struct bench *bench = *state;

	page_set_remove(&bench->mm->unsent, AT(6), 2);
	assert_int_equal(lost_of(bench, 5, 5), 3);
}

static void behind_the_push_all_is_told(void **state)
{
	struct bench *bench = *state;

	page_set_remove(&bench->mm->unsent, AT(0), 20);
	bench->mm->pushed = true;
	assert_int_equal(lost_of(bench, 5, 5), 5);
}

static void the_end_of_a_process_is_told_once(void **state)
{
	struct bench *bench = *state;

	bench->mm->ended = true;
	assert_int_equal(lost_of(bench, 5, 5), 0);
}

static void the_vdso_is_served(void **state)
{
	assert_int_not_equal(ask(*state, 50, 2), CODE_PEER);
}

static void nothing_before_final(void **state)
{
	struct bench *bench = *state;

	bench->mm->final = false;
	assert_int_equal(ask(bench, 5, 1), CODE_PEER);
	assert_int_equal(bench->mm->unsent.nr, 20);
}

/* The list of processes may change before FINAL: it is not even looked at. */
static void nothing_while_processes_join(void **state)
{
	struct source_process **processes;
	struct bench *bench = *state;

	bench->tree.fixed = false;
	processes = bench->tree.processes;
	bench->tree.processes = NULL;
	assert_int_equal(ask(bench, 5, 1), CODE_PEER);
	bench->tree.processes = processes;
	assert_int_equal(bench->mm->unsent.nr, 20);
}

static void nothing_of_another_object(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(ask_of(bench, bench->mm->object + 1, 5, 1), CODE_PEER);
	assert_int_equal(bench->mm->unsent.nr, 20);
}

/* The program that stands would get page tables for all that it has reserved. */
static void no_more_than_an_honest_one_asks_for(void **state)
{
	struct bench *bench = *state;

	bench->vmas[0].end = AT(1000);
	bench->list.nr = 1;
	assert_int_equal(ask(bench, 0, FRAME_REQUEST_PAGES + 1), CODE_PEER);
}

static void nothing_beyond(void **state)
{
	assert_int_equal(ask(*state, 19, 2), CODE_PEER);
}

static void nothing_between(void **state)
{
	assert_int_equal(ask(*state, 25, 1), CODE_PEER);
}

static void nothing_shared(void **state)
{
	assert_int_equal(ask(*state, 30, 1), CODE_PEER);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(pages_of_it_are_served), BENCH_TEST(after_commit_lost_pages_are_told),
		BENCH_TEST(what_was_sent_may_not_be_lost), BENCH_TEST(behind_the_push_all_is_told),
		BENCH_TEST(the_end_of_a_process_is_told_once), BENCH_TEST(the_vdso_is_served),
		BENCH_TEST(nothing_before_final), BENCH_TEST(nothing_while_processes_join),
		BENCH_TEST(nothing_of_another_object),
		BENCH_TEST(no_more_than_an_honest_one_asks_for),
		BENCH_TEST(nothing_beyond),
		BENCH_TEST(nothing_between), BENCH_TEST(nothing_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
