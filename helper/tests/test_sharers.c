// SPDX-License-Identifier: GPL-2.0
/* After FINAL a page that processes share travels once: the push and answers of three real processes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/pagemap.h"
#include "source/push.h"
#include "source/requests.h"
#include "source/sharers.h"
#include "tests/fake_backend.h"
#include "tests/real_walks.h"

#define PAGES	200
#define OWN	10	/* pages that the first child wrote, from the first one on */
#define LATER	50	/* the first of OWN pages that the parent wrote after the forks */
#define PARENT	1	/* the objects, in the order of the tree */
#define FIRST	2
#define SECOND	3

/** struct seen - at the other end: @pages of each object, @also by giver and object, and @copies of FIRST */
struct seen {
	uint64_t pages[4], also[4][4], copies;
};

struct bench {
	struct fake fakes[3];
	struct tree tree;
	struct conn conn, dest;
	struct sender sender;
	struct mailbox box;
	struct seen seen;
	struct vma vma;
	struct vma_list vmas;
	pid_t children[2];
	struct error err;
};

static atomic_uint reads;

int __wrap_pagemap_read(int fd, uint64_t addr, size_t nr, uint64_t *entries, struct error *err)
{
	reads++;
	return __real_pagemap_read(fd, addr, nr, entries, err);
}

static int no_memory;

/* @no_memory: so many calls from now on fail */
int __wrap_page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	if (no_memory) {
		no_memory--;
		return error_set(err, CODE_INTERNAL, NULL, "no memory");
	}
	return __real_page_set_add(set, addr, nr_pages, err);
}

static pid_t fork_child(uint64_t writes)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset((void *)FAKE_BASE, 2, writes * PAGE_BYTES);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

static int add(struct bench *bench, pid_t pid, struct fake *fake)
{
	struct source_process *process = tree_add(&bench->tree, pid, &bench->err);

	if (!process)
		return -1;
	fake_init(fake);
	process->mm.backend = &fake->backend;
	process->mm.frozen_vmas = &bench->vmas;
	process->mm.final = true;
	return page_set_add(&process->mm.populated, AT(0), PAGES, &bench->err) ||
	       source_mm_find_unsent(&process->mm, &bench->err) ? -1 : 0;
}

static int make_program(struct bench *bench)
{
	void *at = mmap((void *)FAKE_BASE, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != (void *)FAKE_BASE)
		return -1;
	madvise(at, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
	memset(at, 1, PAGES * PAGE_BYTES);
	bench->vma = (struct vma){ .start = AT(0), .end = AT(PAGES), .prot = PROT_READ };
	bench->vmas = (struct vma_list){ .vmas = &bench->vma, .nr = 1 };
	bench->children[0] = fork_child(OWN);
	bench->children[1] = fork_child(0);
	memset((void *)AT(LATER), 3, OWN * PAGE_BYTES);
	return add(bench, getpid(), &bench->fakes[0]) ||
	       add(bench, bench->children[0], &bench->fakes[1]) ||
	       add(bench, bench->children[1], &bench->fakes[2]) ? -1 : 0;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2], bytes = 8 << 20;

	*state = bench;
	if (make_program(bench) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	/* all that is sent is read afterwards */
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	mailbox_init(&bench->box, "the destination");
	sharers_open(&bench->tree);
	bench->tree.fixed = true;
	return sender_init(&bench->sender, &bench->conn, true, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn);
	conn_close(&bench->dest);
	sender_destroy(&bench->sender);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	for (int i = 0; i < 2; i++) {
		kill(bench->children[i], SIGKILL);
		waitpid(bench->children[i], NULL, 0);
	}
	munmap((void *)FAKE_BASE, PAGES * PAGE_BYTES);
	free(bench);
	return 0;
}

/* Pages that were named for an object come behind the ALSO. */
static void see(struct bench *bench)
{
	static uint8_t pages[FRAME_MAX_PAGES * PAGE_BYTES];
	struct frame frame = { 0 };

	conn_close(&bench->conn);
	while (frame_recv(&bench->dest, -1, &frame, &bench->err) == 1) {
		uint32_t object = FRAME_OBJECT_OF(frame.cookie), giver = FRAME_GIVER_OF(frame.cookie);

		if (frame.kind == FRAME_ALSO) {
			bench->seen.also[giver][object] += frame.nr_pages;
			assert_int_equal(bench->seen.pages[giver], 0);
		}
		if (frame.kind == FRAME_COPY && object == FIRST)
			bench->seen.copies += frame.nr_pages;
		if (frame.kind != FRAME_PAGES)
			continue;
		bench->seen.pages[object] += frame.nr_pages;
		assert_int_equal(conn_read(&bench->dest, pages, frame.nr_pages * PAGE_BYTES, 0, &bench->err), 0);
	}
	frame_free(&frame);
}

static int push(struct bench *bench)
{
	struct push push = {
		.tree = &bench->tree, .sender = &bench->sender, .box = &bench->box,
	};
	int ret = push_run(&push, &bench->err);

	see(bench);
	return ret;
}

static void skip_without_frames(void)
{
	if (!pagemap_zero_frame())
		skip();
}

static void a_page_of_several_travels_once(void **state)
{
	struct bench *bench = *state;
	const struct seen *seen = &bench->seen;

	skip_without_frames();
	assert_int_equal(push(bench), 0);
	assert_int_equal(seen->pages[PARENT], PAGES);
	assert_int_equal(seen->also[PARENT][FIRST], PAGES - OWN - OWN);
	assert_int_equal(seen->pages[FIRST], 2 * OWN);
	assert_int_equal(seen->also[PARENT][SECOND], PAGES - OWN);
	/* the parent has others there now */
	assert_int_equal(seen->also[FIRST][SECOND], OWN);
	assert_int_equal(seen->pages[SECOND], 0);
	assert_int_equal(bench->sender.inherited, 2 * PAGES - 2 * OWN);
	for (uint32_t i = PARENT; i <= SECOND; i++)
		assert_int_equal(tree_find_mm(&bench->tree, i)->dest_current.nr, PAGES);
}

/* The destination has them, or another thread sends them. */
static void what_is_not_unsent_is_not_named(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_run run = run_of(100, 20, 0);

	skip_without_frames();
	source_mm_claim(tree_find_mm(&bench->tree, SECOND), &run, 1);
	assert_int_equal(push(bench), 0);
	assert_int_equal(bench->seen.also[PARENT][SECOND], PAGES - OWN - 20);
	assert_int_equal(bench->seen.pages[SECOND], 0);
}

/* It was killed: page maps say nothing. */
static void what_cannot_be_read_is_not_named(void **state)
{
	struct bench *bench = *state;

	skip_without_frames();
	kill(bench->children[0], SIGKILL);
	waitpid(bench->children[0], NULL, 0);
	assert_int_equal(push(bench), 0);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 0);
	assert_int_equal(bench->seen.pages[FIRST], PAGES);
	assert_int_equal(bench->seen.also[PARENT][SECOND], PAGES - OWN);
}

/* One read of each page map for many runs, and twice more that of the one that sends. */
static void scattered_pages_are_looked_at_at_once(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run runs[20];

	skip_without_frames();
	for (uint64_t page = 0; page < PAGES; page += 2)
		for (uint32_t i = PARENT; i <= SECOND; i++)
			source_mm_claim(tree_find_mm(&bench->tree, i), &(struct splice_vm_run){
					.addr = AT(page), .nr_pages = 1 }, 1);
	for (int i = 0; i < 20; i++)
		runs[i] = run_of(100 + 2 * i, 2, 0);
	reads = 0;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, PARENT),
				      runs, 20, &bench->err), 0);
	assert_int_equal(reads, 1 + 2 * 3);
	see(bench);
	/* not the pages between */
	assert_int_equal(bench->seen.also[PARENT][FIRST], 20);
	assert_int_equal(tree_find_mm(&bench->tree, FIRST)->unsent.nr, PAGES / 2 - 20);
}

/* The destination would forget what was named before. */
static void those_without_room_are_not_named(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run runs[20];

	skip_without_frames();
	for (int i = 0; i < 20; i++)
		runs[i] = run_of(100 + 2 * i, 1, 0);
	bench->sender.also_max = 30;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, PARENT),
				      runs, 20, &bench->err), 0);
	see(bench);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 20);
	assert_int_equal(bench->seen.also[PARENT][SECOND], 0);
	assert_int_equal(tree_find_mm(&bench->tree, SECOND)->unsent.nr, PAGES);
}

/* Page maps of hundreds of processes are not read for what one has by itself. */
static void pages_that_nobody_shares_are_compared_with_nobody(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_run run = run_of(0, OWN, 0);

	skip_without_frames();
	reads = 0;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, FIRST),
				      &run, 1, &bench->err), 0);
	assert_int_equal(reads, 1);
	see(bench);
	assert_int_equal(bench->seen.also[FIRST][SECOND], 0);
}

/* Before FINAL the destination copies the parent's page: what the parent has sent its child need not send. */
static void what_the_parent_has_sent_is_copied(void **state)
{
	struct bench *bench = *state;
	struct source_mm *parent = tree_find_mm(&bench->tree, PARENT), *mm = tree_find_mm(&bench->tree, FIRST);

	skip_without_frames();
	assert_int_equal(page_set_add(&parent->dest_current, AT(0), 100, &bench->err), 0);
	assert_int_equal(sharers_copy(&bench->sender, parent, mm, &bench->err), 0);
	see(bench);
	/* neither what one of them wrote, nor what the destination lacks of the parent */
	assert_int_equal(bench->seen.copies, 100 - 2 * OWN);
	assert_int_equal(mm->unsent.nr, PAGES - 100 + 2 * OWN);
	assert_int_equal(mm->dest_current.nr, 100 - 2 * OWN);
	assert_true(page_set_has(&mm->unsent, AT(OWN - 1)));
	assert_true(page_set_has(&mm->unsent, AT(LATER)));
	assert_false(page_set_has(&mm->unsent, AT(OWN)));
	assert_int_equal(parent->unsent.nr, PAGES);
}

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

/* Whoever asked gets the page, though the others cannot be listed. */
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

/* Whoever claims a page sends the page. */
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

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(a_page_of_several_travels_once), BENCH_TEST(what_is_not_unsent_is_not_named),
		BENCH_TEST(what_cannot_be_read_is_not_named), BENCH_TEST(an_answer_is_for_all),
		BENCH_TEST(scattered_pages_are_looked_at_at_once),
		BENCH_TEST(what_the_parent_has_sent_is_copied),
		BENCH_TEST(those_without_room_are_not_named),
		BENCH_TEST(without_memory_the_page_is_sent),
		BENCH_TEST(after_a_failed_answer_no_list_comes),
		BENCH_TEST(pages_that_nobody_shares_are_compared_with_nobody),
		BENCH_TEST(an_answer_before_commit_is_for_one),
		BENCH_TEST(an_answer_that_failed_is_given_again),
		BENCH_TEST(push_and_answers_together_send_all),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
