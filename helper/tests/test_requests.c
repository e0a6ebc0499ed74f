// SPDX-License-Identifier: GPL-2.0
/* What a destination may ask for. */
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
#include "source/outgoing.h"
#include "tests/conn_fd.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define MM	7

/* A backend that can send nothing: the request has been found good when it is asked. */
static int send_nothing(struct backend *backend, struct backend_send *send,
			const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
			void *ctx, struct error *err)
{
	return error_set(err, CODE_INTERNAL, NULL, "this is a test");
}

static const struct backend_ops backend_ops = { .send = send_nothing };
static struct backend backend = { .ops = &backend_ops };

struct bench {
	struct outgoing out;
	struct vma vmas[4];
	int dest;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct error err = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || outgoing_sync_init(&bench->out, &err))
		return -1;
	bench->vmas[0] = (struct vma){ .start = AT(0), .end = AT(10) };
	bench->vmas[1] = (struct vma){ .start = AT(10), .end = AT(20) };
	bench->vmas[2] = (struct vma){ .start = AT(30), .end = AT(40), .shared = true };
	bench->vmas[3] = (struct vma){ .start = AT(50), .end = AT(52), .special = true };
	bench->out.task.vmas = (struct vma_list){ .vmas = bench->vmas, .nr = 4 };
	bench->out.memory_conn = CONN_NONE;
	bench->out.urgent_conn = (struct conn){ .fd = pair[0] };
	bench->dest = pair[1];
	pthread_mutex_init(&bench->out.left_lock, NULL);
	page_set_init(&bench->out.left);
	assert_int_equal(sender_init(&bench->out.urgent, &backend, &bench->out.urgent_conn, MM, NULL, &err), 0);
	bench->out.memory.final = true;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->out.urgent_conn);
	page_set_destroy(&bench->out.left);
	sender_destroy(&bench->out.urgent);
	close(bench->out.sync.kick);
	close(bench->out.sync.signals);
	free(bench);
	return 0;
}

/* Why the migration failed; a good request fails too. */
static enum exit_code ask(struct bench *bench, uint64_t page, uint32_t nr)
{
	struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };
	struct error err = { 0 };

	assert_int_equal(frame_send(CONN(bench->dest), FRAME_REQUEST, FRAME_COOKIE(0, MM), &run, 1, &err),
			 0);
	close(bench->dest);
	outgoing_serve_requests(&bench->out);
	assert_int_equal(mailbox_failed(&bench->out.box, &err), -1);
	return err.code;
}

static void pages_of_it_are_served(void **state)
{
	assert_int_not_equal(ask(*state, 5, 10), CODE_PEER);
}

static void the_vdso_is_served(void **state)
{
	assert_int_not_equal(ask(*state, 50, 2), CODE_PEER);
}

static void nothing_before_final(void **state)
{
	struct bench *bench = *state;

	bench->out.memory.final = false;
	assert_int_equal(ask(bench, 5, 1), CODE_PEER);
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
		BENCH_TEST(pages_of_it_are_served), BENCH_TEST(the_vdso_is_served),
		BENCH_TEST(nothing_before_final), BENCH_TEST(nothing_beyond),
		BENCH_TEST(nothing_between), BENCH_TEST(nothing_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
