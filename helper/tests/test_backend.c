// SPDX-License-Identifier: GPL-2.0
/* Pages of another process without the module; the tracker's oracle is selftests/e2e/backend_oracle. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "backend/backend.h"
#include "backend/soft_dirty.h"
#include "os/pagemap.h"
#include "pages/page_set.h"
#include "tests/conn_fd.h"
#include "wire/conn.h"
#include "wire/packed.h"

#define PAGES	1200	/* more than a frame takes */
#define SANITIZER_BYTES	(1UL << 36)	/* no other mapping of this program has so much */

/**
 * struct bench - a child with memory that was made before the fork
 * @mem: PAGES pages, each begins with its number, but for every tenth: these are zeros
 * @told: results of the send
 * @packer: of CODEC_NONE unless a test says another one
 */
struct bench {
	char *mem;
	pid_t pid;
	struct backend *backend;
	int pair[2];
	uint8_t *buf;
	struct splice_vm_run told[PAGES];
	uint32_t nr_told;
	struct packer packer;
};

static uint64_t page_at(const struct bench *bench, size_t page)
{
	return (uintptr_t)bench->mem + page * PAGE_BYTES;
}

/** struct range - addresses from @start up to @end */
struct range { unsigned long start, end; };

/* The memory that a sanitizer keeps for itself goes: no code that it made may run from here on. */
static __attribute__((noreturn, no_sanitize("address", "undefined", "thread")))
void stand(const struct range *ranges, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		syscall(SYS_munmap, ranges[i].start, ranges[i].end - ranges[i].start);
	for (;;)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
}

/* A look reads the pagemap of each mapping: of the terabytes of a sanitizer that takes half a minute. */
static void be_read(void)
{
	static struct range ranges[64];
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];
	size_t nr = 0;

	while (nr < 64 && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &ranges[nr].start, &ranges[nr].end) == 2 &&
		    ranges[nr].end - ranges[nr].start > SANITIZER_BYTES)
			nr++;
	fclose(maps);
	stand(ranges, nr);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct error err = { 0 };

	*state = bench;
	bench->buf = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	bench->mem = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bench->mem == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, bench->pair))
		return -1;
	for (size_t i = 0; i < PAGES; i++)
		*(uint64_t *)page_at(bench, i) = i % 10 ? i : 0;
	bench->pid = fork();
	if (!bench->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_read();
	}
	/* ours is not what is read */
	memset(bench->mem, 0xff, PAGES * PAGE_BYTES);
	bench->backend = backend_open(BACKEND_VMREAD, TRACKER_AUTO, bench->pid, NULL, &err);
	return bench->backend ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	backend_close(bench->backend);
	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	munmap(bench->mem, PAGES * PAGE_BYTES);
	close(bench->pair[0]);
	close(bench->pair[1]);
	free(bench->buf);
	free(bench);
	return 0;
}

static int take_told(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct bench *bench = ctx;

	assert_true(bench->nr_told + nr <= PAGES);
	memcpy(bench->told + bench->nr_told, runs, nr * sizeof(*runs));
	bench->nr_told += nr;
	return 0;
}

/* Return: pages that were sent, by the backend's own count */
static uint64_t send_runs(struct bench *bench, const struct splice_vm_run *runs, uint32_t nr)
{
	struct backend_send send = { .conn = CONN(bench->pair[0]), .cookie = 7, .buf = bench->buf,
				     .packer = &bench->packer };
	struct error err = { 0 };

	bench->nr_told = 0;
	assert_int_equal(bench->backend->ops->send(bench->backend, &send, runs, nr, take_told, bench,
						   &err), 0);
	assert_int_equal(send.pages, send.copied);
	return send.pages;
}

/* All frames: each page begins with its number. Return: how many pages came */
static uint64_t receive(struct bench *bench)
{
	struct unpacker unpacker = { .codecs = CODEC_ALL };
	static char expanded[PACKED_BYTES];
	struct frame frame = { 0 };
	struct error err = { 0 };
	uint64_t pages = 0, word;
	char page[PAGE_BYTES];

	shutdown(bench->pair[0], SHUT_WR);
	assert_int_equal(unpacker_init(&unpacker, &err), 0);
	while (frame_recv(CONN(bench->pair[1]), 1000, &frame, &err) == 1) {
		const char *from = expanded;

		assert_int_equal(frame.kind, bench->packer.codec ? FRAME_PACKED : FRAME_PAGES);
		assert_int_equal(frame.cookie, 7);
		if (frame.kind == FRAME_PACKED) {
			assert_int_equal(unpacker_recv(&unpacker, CONN(bench->pair[1]), &frame, &err), 0);
			assert_int_equal(unpacker_expand(&unpacker, &frame, expanded, &err), 0);
		}
		for (uint32_t i = 0; i < frame.nr_runs; i++)
			for (uint32_t j = 0; j < frame.runs[i].nr_pages; j++, pages++) {
				if (frame.kind == FRAME_PAGES)
					assert_int_equal(conn_read(CONN(bench->pair[1]), page, PAGE_BYTES, 0,
								   &err), 0);
				else
					memcpy(page, from, PAGE_BYTES);
				from += PAGE_BYTES;
				memcpy(&word, page, sizeof(word));
				assert_int_equal(word, (frame.runs[i].addr - page_at(bench, 0)) /
						 PAGE_BYTES + j);
			}
	}
	assert_false(error_is_set(&err));
	unpacker_destroy(&unpacker);
	frame_free(&frame);
	return pages;
}

static uint32_t told_as(const struct bench *bench, uint32_t flags)
{
	uint32_t pages = 0;

	for (uint32_t i = 0; i < bench->nr_told; i++)
		if (bench->told[i].flags == flags)
			pages += bench->told[i].nr_pages;
	return pages;
}

/* The socket takes only so much before somebody reads. */
static void start_reader(struct bench *bench, pid_t *reader)
{
	*reader = fork();
	if (*reader) {
		close(bench->pair[1]);
		bench->pair[1] = -1;
		return;
	}
	close(bench->pair[0]);
	_exit(receive(bench) == PAGES - PAGES / 10 ? 0 : 1);
}

static void pages_are_sent_and_zeros_told(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run run = { .addr = page_at(bench, 0), .nr_pages = PAGES };
	pid_t reader;
	int status;

	start_reader(bench, &reader);
	assert_int_equal(send_runs(bench, &run, 1), PAGES - PAGES / 10);
	assert_int_equal(told_as(bench, SPLICE_VM_RUN_IS_ZERO), PAGES / 10);
	assert_int_equal(told_as(bench, SPLICE_VM_RUN_SENT), PAGES - PAGES / 10);
	shutdown(bench->pair[0], SHUT_WR);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
}

static void compressed_pages_are_sent_and_zeros_told(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_int_equal(packer_init(&bench->packer, &err), 0);
	bench->packer.codec = CODEC_LZ4;
	pages_are_sent_and_zeros_told(state);
	assert_int_equal(bench->packer.raw[CODEC_LZ4], (PAGES - PAGES / 10) * PAGE_BYTES);
	assert_true(bench->packer.saved > PAGES / 2 * PAGE_BYTES);
	packer_destroy(&bench->packer);
}

static void scattered_pages_are_sent_together(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run runs[20];

	for (size_t i = 0; i < 20; i++)
		runs[i] = (struct splice_vm_run){ .addr = page_at(bench, 2 * i + 1), .nr_pages = 1 };
	assert_int_equal(send_runs(bench, runs, 20), 20);
	assert_int_equal(bench->nr_told, 20);
	assert_int_equal(receive(bench), 20);
}

static void what_is_gone_is_told(void **state)
{
	struct bench *bench = *state;
	/* in the middle of what is there */
	const struct splice_vm_run runs[] = {
		{ .addr = page_at(bench, 1), .nr_pages = 2 },
		{ .addr = USER_END - 8 * PAGE_BYTES, .nr_pages = 2 },
	};

	assert_int_equal(send_runs(bench, runs, 2), 2);
	assert_int_equal(told_as(bench, SPLICE_VM_RUN_SENT), 2);
	assert_int_equal(told_as(bench, SPLICE_VM_RUN_GONE), 2);
	assert_int_equal(receive(bench), 2);
}

static void what_there_is_is_listed(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_int_equal(bench->backend->ops->populated(bench->backend, page_at(bench, 0),
							page_at(bench, PAGES), take_told, bench,
							&err), 0);
	assert_int_equal(bench->nr_told, 1);
	assert_int_equal(bench->told[0].addr, page_at(bench, 0));
	assert_int_equal(bench->told[0].nr_pages, PAGES);
	assert_int_equal(bench->told[0].flags, SPLICE_VM_RUN_PRESENT);
}

static void who_has_ended_is_told(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	size_t done;

	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	assert_int_equal(bench->backend->ops->populated(bench->backend, page_at(bench, 0),
							page_at(bench, 1), take_told, bench, &err),
			 -1);
	assert_int_equal(err.code, CODE_TARGET);
	memset(&err, 0, sizeof(err));
	assert_int_equal(bench->backend->ops->read(bench->backend, page_at(bench, 0), bench->buf, 8,
						   &done, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

/* Without somebody who can freeze the program there is no tracker, and the reason is told. */
static void no_tracker_without_a_freezer(void **state)
{
	struct bench *bench = *state;

	assert_false(bench->backend->tracks);
	assert_string_equal(bench->backend->tracker, "none");
	assert_non_null(strstr(bench->backend->why, "--backend says so; "));
}

/** struct follow - a tracker of the bench's child. Not all kernels have soft-dirty bits: frames tell enough */
struct follow {
	struct soft_dirty *tracker;
	int pagemap_fd;
	struct error err;
};

static void follow_open(struct follow *follow, pid_t pid)
{
	*follow = (struct follow){ .pagemap_fd = pagemap_open(pid, &follow->err) };
	assert_true(follow->pagemap_fd >= 0);
	follow->tracker = soft_dirty_open(pid, follow->pagemap_fd, &follow->err);
	assert_non_null(follow->tracker);
}

static void follow_close(struct follow *follow)
{
	soft_dirty_close(follow->tracker);
	close(follow->pagemap_fd);
}

static int count_pages(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	for (uint32_t i = 0; i < nr; i++)
		*(uint64_t *)ctx += runs[i].nr_pages;
	return 0;
}

static uint64_t follow_scan(struct follow *follow)
{
	uint64_t pages = 0;

	assert_int_equal(soft_dirty_scan(follow->tracker, count_pages, &pages, &follow->err), 0);
	return pages;
}

/* In whatever part of the address space. */
static void frames_are_those_of_the_look(const struct bench *bench, struct follow *follow)
{
	uint64_t was[PAGES], now[PAGES], at = page_at(bench, 0);

	assert_true(soft_dirty_frames(follow->tracker, at, PAGES, was));
	assert_int_equal(pagemap_read(follow->pagemap_fd, at, PAGES, now, &follow->err), 0);
	for (size_t i = 0; i < PAGES; i++) {
		assert_true(was[i] & PM_PRESENT);
		assert_int_equal(was[i] & PM_FRAME, now[i] & PM_FRAME);
	}
	assert_true(soft_dirty_frames(follow->tracker, page_at(bench, 511), 3, now));
	assert_memory_equal(now, was + 511, 3 * sizeof(*now));
	assert_true(soft_dirty_frames(follow->tracker, 1UL << 21, 1, now));
	assert_int_equal(now[0], 0);
}

/* A process that was not looked at keeps what it wrote for the next look. */
static void a_scan_tells_what_the_look_found(void **state)
{
	struct bench *bench = *state;
	struct follow follow;
	uint64_t entry;

	if (!pagemap_zero_frame())
		skip();
	follow_open(&follow, bench->pid);
	assert_int_equal(follow_scan(&follow), 0);
	soft_dirty_look(follow.tracker, false);
	assert_false(soft_dirty_frames(follow.tracker, page_at(bench, 0), 1, &entry));
	assert_true(follow_scan(&follow) >= PAGES);
	frames_are_those_of_the_look(bench, &follow);
	assert_int_equal(follow_scan(&follow), 0);
	/* a scan that tells no look tells no frames */
	assert_false(soft_dirty_frames(follow.tracker, page_at(bench, 0), 1, &entry));
	soft_dirty_look(follow.tracker, true);
	assert_int_equal(follow_scan(&follow), 0);
	follow_close(&follow);
}

/** struct lookout - for a page in what a scan tells; @flags: of its run, 0: it is not told */
struct lookout {
	uint64_t addr;
	uint32_t flags;
};

static int look_out(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct lookout *lookout = ctx;

	for (uint32_t i = 0; i < nr; i++)
		if (lookout->addr - runs[i].addr < runs[i].nr_pages * PAGE_BYTES)
			lookout->flags = runs[i].flags;
	return 0;
}

static uint32_t flags_of(struct follow *follow, const void *page)
{
	struct lookout lookout = { .addr = (uintptr_t)page };

	assert_int_equal(soft_dirty_scan(follow->tracker, look_out, &lookout, &follow->err), 0);
	return lookout.flags;
}

static void move(void *from, void *to)
{
	assert_ptr_equal(mremap(from, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
}

/* It was read in that moment, and has its frame again when the program stands: the destination has something else. */
static void a_page_that_was_away_is_told(void **state)
{
	uint8_t *home = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *away = home + PAGE_BYTES;
	struct follow follow;
	uint64_t entry;

	if (!pagemap_zero_frame())
		skip();
	*home = 1;
	follow_open(&follow, getpid());
	soft_dirty_look(follow.tracker, false);
	assert_int_equal(flags_of(&follow, home), SPLICE_VM_RUN_DIRTY);
	soft_dirty_confirm(follow.tracker, (uintptr_t)home, 1);
	assert_true(soft_dirty_frames(follow.tracker, (uintptr_t)home, 1, &entry));
	assert_true(entry & PM_PRESENT);
	move(home, away);
	soft_dirty_confirm(follow.tracker, (uintptr_t)home, 1);
	assert_true(soft_dirty_frames(follow.tracker, (uintptr_t)home, 1, &entry));
	assert_int_equal(entry, 0);
	move(away, home);
	soft_dirty_look(follow.tracker, true);
	assert_int_equal(flags_of(&follow, home), SPLICE_VM_RUN_DIRTY);
	/* nothing changes any more, and other threads read */
	move(home, away);
	soft_dirty_confirm(follow.tracker, (uintptr_t)home, 1);
	assert_true(soft_dirty_frames(follow.tracker, (uintptr_t)home, 1, &entry));
	assert_true(entry & PM_PRESENT);
	follow_close(&follow);
	munmap(away, PAGE_BYTES);
}

/* The first one has cleared the bits of what it found. */
static void a_look_is_told_before_the_next(void **state)
{
	struct bench *bench = *state;
	struct follow follow;
	uint64_t pages = 0;

	follow_open(&follow, bench->pid);
	soft_dirty_look(follow.tracker, false);
	soft_dirty_look(follow.tracker, false);
	assert_int_equal(soft_dirty_scan(follow.tracker, count_pages, &pages, &follow.err), -1);
	assert_int_equal(follow.err.code, CODE_INTERNAL);
	follow_close(&follow);
}

static void a_failed_look_is_told_by_the_scan(void **state)
{
	struct bench *bench = *state;
	struct follow follow;
	uint64_t pages = 0;

	follow_open(&follow, bench->pid);
	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	soft_dirty_look(follow.tracker, false);
	assert_int_equal(soft_dirty_scan(follow.tracker, count_pages, &pages, &follow.err), -1);
	assert_int_equal(follow.err.code, CODE_TARGET);
	follow_close(&follow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_are_sent_and_zeros_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(compressed_pages_are_sent_and_zeros_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(scattered_pages_are_sent_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_gone_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_there_is_is_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_has_ended_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_tracker_without_a_freezer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_scan_tells_what_the_look_found, set_up, tear_down),
		cmocka_unit_test(a_page_that_was_away_is_told),
		cmocka_unit_test_setup_teardown(a_look_is_told_before_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failed_look_is_told_by_the_scan, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
