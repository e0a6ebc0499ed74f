/* SPDX-License-Identifier: GPL-2.0 */
/* Shared memory of this process, and the other end of the connection over which it is sent. */
#ifndef MIGRATE_TESTS_SHM_BENCH_H
#define MIGRATE_TESTS_SHM_BENCH_H

#include <fcntl.h>
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
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/shm_send.h"
#include "wire/stream.h"

#define PAGES	200

/**
 * struct bench - this process is the program, twice; @mirror is what the other end has
 * @rounds: marks that came; @pages: pages that came; @listed: by POPULATED
 */
struct bench {
	struct tree tree;
	struct source_shms shms;
	struct sender sender;
	struct mailbox box;
	struct conn conn, dest;
	pthread_t reader;
	uint8_t mirror[PAGES * PAGE_BYTES];
	bool have[PAGES];
	atomic_uint rounds, pages, listed;
	int fd;
	uint8_t *map;
	struct error err;
};

static const struct migrate_options opts;

static void take_pages(struct bench *bench, const struct frame *frame)
{
	struct error err = { 0 };

	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		const struct splice_vm_run *run = &frame->runs[i];

		if (frame->kind == FRAME_PAGES)
			conn_read(&bench->dest, bench->mirror + run->addr, run->nr_pages * PAGE_BYTES,
				  10000, &err);
		else
			memset(bench->mirror + run->addr, 0, run->nr_pages * PAGE_BYTES);
		for (uint32_t page = 0; page < run->nr_pages; page++)
			bench->have[run->addr / PAGE_BYTES + page] = frame->kind == FRAME_PAGES;
	}
}

static void *reader_body(void *arg)
{
	struct bench *bench = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&bench->dest, -1, &frame, &err) == 1) {
		if (frame.kind == FRAME_POPULATED)
			bench->listed += frame.nr_pages;
		else if (frame.kind == FRAME_PAGES || frame.kind == FRAME_DROPPED)
			take_pages(bench, &frame);
		if (frame.kind == FRAME_PAGES)
			bench->pages += frame.nr_pages;
		if (frame.kind == FRAME_ROUND)
			bench->rounds++;
	}
	frame_free(&frame);
	return NULL;
}

static inline int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || shms_init(&bench->shms, &opts, &bench->err))
		return -1;
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	bench->fd = memfd_create("an object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(bench->fd, PAGES * PAGE_BYTES))
		return -1;
	for (int i = 0; i < 2; i++)
		if (!tree_add(&bench->tree, getpid(), &bench->err))
			return -1;
	mailbox_init(&bench->box, "the destination");
	return sender_init(&bench->sender, &bench->conn, true, &bench->err) ||
	       pthread_create(&bench->reader, NULL, reader_body, bench) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn);
	pthread_join(bench->reader, NULL);
	conn_close(&bench->dest);
	sender_destroy(&bench->sender);
	shms_destroy(&bench->shms);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	if (bench->map)
		munmap(bench->map, PAGES * PAGE_BYTES);
	if (bench->fd >= 0)
		close(bench->fd);
	free(bench);
	return 0;
}

static void read_mappings(struct bench *bench)
{
	struct source_process *process;

	tree_for_each(&bench->tree, process)
		assert_int_equal(source_mm_read_vmas(&process->mm, &bench->err), 0);
}

static void find(struct bench *bench)
{
	read_mappings(bench);
	assert_int_equal(shms_find(&bench->shms, &bench->tree, &bench->err), 0);
}

static void map(struct bench *bench)
{
	bench->map = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bench->fd, 0);
	assert_true(bench->map != MAP_FAILED);
}

/* Send a round, and wait until the other end has it. Return: pages that went */
static unsigned int send_round(struct bench *bench)
{
	unsigned int rounds = bench->rounds, pages = bench->pages;

	assert_int_equal(shms_look(&bench->shms, &bench->err), 0);
	assert_int_equal(shms_send(&bench->shms, &bench->sender, &bench->box, &bench->err), 0);
	assert_int_equal(shms_mark(&bench->shms, &bench->sender, FRAME_ROUND, &bench->err), 0);
	for (int ms = 0; ms < 10000 && bench->rounds == rounds; ms++)
		usleep(1000);
	assert_int_equal(bench->rounds, rounds + 1);
	return bench->pages - pages;
}

static void same(struct bench *bench)
{
	static uint8_t now[PAGES * PAGE_BYTES];

	memset(now, 0, sizeof(now));
	assert_true(pread(bench->fd, now, sizeof(now), 0) >= 0);
	assert_memory_equal(now, bench->mirror, sizeof(now));
}

static void write_page(struct bench *bench, int page, uint8_t byte)
{
	assert_int_equal(pwrite(bench->fd, &byte, 1, page * PAGE_BYTES + 77), 1);
}

#endif
