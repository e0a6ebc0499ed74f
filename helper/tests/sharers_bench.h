/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Three real processes that share pages since fork, and the other end of the connection: what came.
 * Included by one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_SHARERS_BENCH_H
#define MIGRATE_TESTS_SHARERS_BENCH_H

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/pagemap.h"
#include "source/push.h"
#include "source/sharers.h"
#include "tests/fake_backend.h"
#include "tests/real_sets.h"
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

static inline pid_t fork_child(uint64_t writes)
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

static inline int add(struct bench *bench, pid_t pid, struct fake *fake)
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

static inline int make_program(struct bench *bench)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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
static inline void see(struct bench *bench)
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

static inline void skip_without_frames(void)
{
	if (!pagemap_zero_frame())
		skip();
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
