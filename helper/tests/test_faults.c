// SPDX-License-Identifier: GPL-2.0
/*
 * Mirror, spaces and faults against a real userfaultfd of the test's own process: threads touch,
 * drop, move and fork while the helper installs pages from the mirror, and gets pushed and
 * requested pages. In any order, each page must have its right content.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/faults.h"
#include "dest/populate.h"
#include "dest/receiver.h"
#include "dest/spaces.h"
#include "pages/sets.h"
#include "tests/conn_fd.h"
#include "tests/mm_hooks.h"
#include "tests/own_uffd.h"

#define P		PAGE_BYTES
#define CHUNK		16UL		/* pages that move together */
#define CHUNKS		1024UL
#define SLOTS		16384UL		/* where chunks may be moved to, each once */
#define PAGES		(CHUNK * CHUNKS)
#define TOUCHERS	2
#define OPS		20000
#define MM		42
#define COMPLETE_S	120		/* a busy machine takes its time */
#define SEEN_BYTES	256

enum page_state { ORIGINAL, EMPTY, WRITTEN };

/* What the program that is "restored" knows of its own memory. */
struct chunk {
	uint8_t *at;
	uint8_t state[CHUNK];
};

static struct world {
	uint8_t *area, *slots;
	atomic_ulong next_slot;
	struct chunk chunks[CHUNKS];
	uint64_t salt;
	int uffd;
	struct objects objects;
	struct mm *mm;
	struct faults faults;
	struct populate populate;
	struct receiver memory, urgent;
	int memory_pair[2], urgent_pair[2];
	struct conn memory_conn, urgent_conn;
	pthread_t memory_thread, urgent_thread, source_thread;
	atomic_bool final, failed;
	struct error err;
	atomic_ulong wrong, forks;
	char *seen;			/* the first wrong page; shared with children */
} w;

static uint64_t original(uint64_t page, uint64_t word)
{
	return (page + 1) * 0x9e3779b97f4a7c15UL + word * 7 + w.salt;
}

static void fill_original(uint64_t page, uint64_t *data)
{
	for (uint64_t i = 0; i < P / 8; i++)
		data[i] = original(page, i);
}

static void failed(void *ctx, const struct error *err)
{
	w.err = *err;
	atomic_store(&w.failed, true);
}

static int watch(void *ctx, struct space *space, bool on, struct error *err)
{
	return faults_watch(&w.faults, space, on, err);
}

static void kick(void *ctx, struct mm *mm)
{
	faults_kick(&w.faults, mm);
}

static void work(void *ctx)
{
	populate_wake(&w.populate);
}

static int gate(void *ctx, uint32_t round, struct error *err)
{
	return 0;
}

static int on_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	atomic_store(&w.final, true);
	return 0;
}

static void *receive_body(void *arg)
{
	struct error err = { 0 };

	if (receiver_run(arg, &err))
		failed(NULL, &err);
	return NULL;
}

/* Every third group of 8 pages is not sent before FINAL. */
static bool is_late(uint64_t page)
{
	return page / 8 % 3 == 2;
}

static uint64_t address(uint64_t page)
{
	return (uintptr_t)w.area + page * P;
}

static int send_pages(int fd, uint64_t page, uint64_t nr)
{
	static __thread uint64_t data[64 * P / 8];
	struct error err = { 0 };

	for (uint64_t i = 0; i < nr; i++)
		fill_original(page + i, data + i * P / 8);
	return frame_send_copy(CONN(fd), FRAME_COOKIE(1, MM), address(page), nr, data, &err);
}

static int send_list(int fd, enum frame_kind kind, uint64_t addr, uint64_t nr)
{
	struct splice_vm_run run = { .addr = addr, .nr_pages = nr };
	struct error err = { 0 };

	return frame_send(CONN(fd), kind, FRAME_COOKIE(1, MM), &run, nr ? 1 : 0, &err);
}

static void send_precopy(int fd)
{
	for (uint64_t page = 0; page < PAGES; page += 8)
		if (!is_late(page))
			assert_int_equal(send_pages(fd, page, 8), 0);
	assert_int_equal(send_list(fd, FRAME_POPULATED, address(0), PAGES), 0);
	assert_int_equal(send_list(fd, FRAME_FINAL, 0, 0), 0);
	while (!atomic_load(&w.final) && !atomic_load(&w.failed))
		usleep(1000);
}

static void *push_body(void *arg)
{
	int fd = w.memory_pair[1];

	for (uint64_t page = 0; page < PAGES; page += 8) {
		if (!is_late(page) || page % 5 == 0)
			continue;
		/* all of it will be requested at the end: what was not pushed */
		if (send_pages(fd, page, 8))
			return NULL;
		usleep(200);
	}
	send_list(fd, FRAME_PUSHED, 0, 0);
	return NULL;
}

/* The source's urgent thread. */
static void *source_body(void *arg)
{
	struct frame frame = { 0 };
	struct error err = { 0 };
	pthread_t pusher;

	pthread_create(&pusher, NULL, push_body, NULL);
	while (frame_recv(CONN(w.urgent_pair[1]), -1, &frame, &err) == 1) {
		for (uint32_t i = 0; i < frame.nr_runs; i++) {
			uint64_t page = (frame.runs[i].addr - address(0)) / P;
			uint64_t left = frame.runs[i].nr_pages;

			for (uint64_t nr; left; left -= nr, page += nr) {
				nr = left < 64 ? left : 64;
				send_pages(w.urgent_pair[1], page, nr);
			}
		}
	}
	frame_free(&frame);
	pthread_join(pusher, NULL);
	return NULL;
}

static bool page_is(const uint8_t *at, enum page_state state, uint64_t page)
{
	static const uint64_t words[] = { 0, 1, 255, 511 };
	const uint64_t *data = (const void *)at;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		uint64_t want = original(page, words[i]);

		if (state == EMPTY)
			want = 0;
		else if (state == WRITTEN)
			want = ~want;
		if (data[words[i]] != want)
			return false;
	}
	return true;
}

static bool check(uint64_t chunk, uint64_t i)
{
	return page_is(w.chunks[chunk].at + i * P, w.chunks[chunk].state[i], chunk * CHUNK + i);
}

static void tell_wrong(const char *who, uint64_t chunk, uint64_t i)
{
	snprintf(w.seen, SEEN_BYTES, "%s: page %lu of chunk %lu at %p, state %d, reads 0x%lx", who,
		 i, chunk, w.chunks[chunk].at + i * P, w.chunks[chunk].state[i],
		 *(uint64_t *)(w.chunks[chunk].at + i * P));
}

static void expect(uint64_t chunk, uint64_t i)
{
	if (!check(chunk, i) && !atomic_fetch_add(&w.wrong, 1))
		tell_wrong("a thread", chunk, i);
}

static void op_write(uint64_t chunk, uint64_t i)
{
	uint64_t *data = (void *)(w.chunks[chunk].at + i * P);

	for (uint64_t word = 0; word < P / 8; word++)
		data[word] = ~original(chunk * CHUNK + i, word);
	w.chunks[chunk].state[i] = WRITTEN;
}

static void op_drop(uint64_t chunk, uint64_t i, uint64_t nr)
{
	if (nr > CHUNK - i)
		nr = CHUNK - i;
	madvise(w.chunks[chunk].at + i * P, nr * P, MADV_DONTNEED);
	memset(w.chunks[chunk].state + i, EMPTY, nr);
}

static void op_move(uint64_t chunk)
{
	uint64_t slot = atomic_fetch_add(&w.next_slot, 1);
	uint8_t *to = w.slots + slot * CHUNK * P;

	if (slot >= SLOTS)
		return;
	if (mremap(w.chunks[chunk].at, CHUNK * P, CHUNK * P, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    to)
		w.chunks[chunk].at = to;
	else if (!atomic_fetch_add(&w.wrong, 1))
		snprintf(w.seen, SEEN_BYTES, "mremap of chunk %lu: errno %d", chunk, errno);
}

static void child_body(unsigned int *seed, uint64_t first, uint64_t nr)
{
	for (int i = 0; i < 20; i++) {
		uint64_t chunk = first + rand_r(seed) % nr, page = rand_r(seed) % CHUNK;

		if (check(chunk, page))
			continue;
		tell_wrong("a child", chunk, page);
		syscall(SYS_exit_group, 1);
	}
	syscall(SYS_exit_group, 0);
}

/* Not fork(): its handlers take locks of malloc that the reader of events may need. */
static void op_fork(unsigned int *seed, uint64_t first, uint64_t nr)
{
	pid_t pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	int status = 0;

	if (!pid)
		child_body(seed, first, nr);
	/* a machine that has no room for one more process is not what is tested */
	if (pid < 0)
		return;
	waitpid(pid, &status, 0);
	atomic_fetch_add(&w.forks, 1);
	if (!status)
		return;
	if (!atomic_fetch_add(&w.wrong, 1) && !w.seen[0])
		snprintf(w.seen, SEEN_BYTES, "a child ended with status 0x%x", status);
}

static void *touch_body(void *arg)
{
	uint64_t nr = CHUNKS / TOUCHERS, first = (uintptr_t)arg * nr;
	unsigned int seed = first + w.salt;

	for (int i = 0; i < OPS && !atomic_load(&w.wrong); i++) {
		uint64_t chunk = first + rand_r(&seed) % nr, page = rand_r(&seed) % CHUNK;
		int dice = rand_r(&seed) % 1000;

		expect(chunk, page);
		if (dice < 150)
			op_write(chunk, page);
		else if (dice < 250)
			op_drop(chunk, page, 1 + rand_r(&seed) % 4);
		else if (dice < 350)
			op_move(chunk);
		else if (dice < 351 && i % 2)
			op_fork(&seed, first, nr);
	}
	return NULL;
}

static void set_up_world(uint64_t salt)
{
	struct mm_hooks hooks = no_mm_hooks;
	struct error err = { 0 };

	memset(&w, 0, sizeof(w));
	w.salt = salt;
	w.area = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w.slots = mmap(NULL, SLOTS * CHUNK * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w.seen = mmap(NULL, SEEN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(w.area, MAP_FAILED);
	assert_ptr_not_equal(w.seen, MAP_FAILED);
	for (uint64_t i = 0; i < CHUNKS; i++)
		w.chunks[i].at = w.area + i * CHUNK * P;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.memory_pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.urgent_pair), 0);
	hooks.watch = watch;
	hooks.kick = kick;
	hooks.work = work;
	objects_init(&w.objects, &hooks, NULL, NULL);
	w.mm = objects_add_mm(&w.objects, MM, 1, &err);
	assert_non_null(w.mm);
	populate_init(&w.populate, &w.objects, &(struct populate_hooks){ .failed = failed });
	w.faults.objects = &w.objects;
	w.memory_conn.fd = w.memory_pair[0];
	w.urgent_conn.fd = w.urgent_pair[0];
	w.faults.urgent = &w.urgent_conn;
	w.faults.hooks = (struct faults_hooks){ .failed = failed };
	assert_int_equal(faults_init(&w.faults, &err), 0);
	w.memory = (struct receiver){
		.conn = &w.memory_conn, .objects = &w.objects,
		.hooks = { .gate = gate, .final = on_final },
	};
	w.urgent = w.memory;
	w.urgent.conn = &w.urgent_conn;
	w.urgent.urgent = true;
	assert_int_equal(faults_start(&w.faults, &err), 0);
	pthread_create(&w.memory_thread, NULL, receive_body, &w.memory);
	pthread_create(&w.urgent_thread, NULL, receive_body, &w.urgent);
}

static void take_down_world(void)
{
	populate_stop(&w.populate);
	shutdown(w.memory_pair[1], SHUT_RDWR);
	shutdown(w.urgent_pair[1], SHUT_RDWR);
	pthread_join(w.memory_thread, NULL);
	pthread_join(w.urgent_thread, NULL);
	pthread_join(w.source_thread, NULL);
	faults_stop(&w.faults);
	objects_destroy(&w.objects);
	populate_destroy(&w.populate);
	faults_destroy(&w.faults);
	for (int i = 0; i < 2; i++) {
		close(w.memory_pair[i]);
		close(w.urgent_pair[i]);
	}
	munmap(w.area, PAGES * P);
	munmap(w.slots, SLOTS * CHUNK * P);
	munmap(w.seen, SEEN_BYTES);
}

static bool complete(void)
{
	bool done;

	mm_lock(w.mm);
	done = spaces_done(w.mm);
	mm_unlock(w.mm);
	return done;
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9;
}

/* What stands in the report of a run that failed: nobody may be able to repeat it. */
static void fail_stress(const char *what, const struct timespec *start)
{
	size_t gone = 0, waiting = 0;
	uint64_t todo = 0;

	mm_lock(w.mm);
	for (size_t i = 0; i < w.mm->spaces.nr; i++) {
		gone += w.mm->spaces.list[i]->gone;
		waiting += w.mm->spaces.list[i]->nr_waiting;
		todo += w.mm->spaces.list[i]->gone ? 0 : w.mm->spaces.list[i]->todo.nr;
	}
	fail_msg("salt %lu, after %.1f s: %s; error \"%s\", wrong %lu \"%s\", spaces %zu, gone %zu, todo %lu (first %lu), have %lu, wanted %lu, asked %lu, requests %zu, faults that wait %zu, orphans %lu, work %d, retry %d, pushed %d",
		 w.salt, seconds_since(start), what, w.err.what, atomic_load(&w.wrong), w.seen,
		 w.mm->spaces.nr, gone, todo, w.mm->spaces.list[0]->todo.nr, w.mm->mirror.have.nr,
		 w.mm->wanted.pages.nr, w.mm->wanted.asked.nr, w.mm->wanted.nr_requests, waiting,
		 w.mm->spaces.list[0]->orphans, w.mm->work, w.mm->spaces.retry, w.mm->pushed);
}

/* All pages are where they belong, and nothing is kept or waited for any longer. */
static void judge(const struct timespec *start)
{
	bool kept;

	for (int i = 0; i < COMPLETE_S * 1000 && !complete() && !atomic_load(&w.failed); i++)
		usleep(1000);
	if (atomic_load(&w.failed))
		fail_stress("a thread failed", start);
	if (!complete())
		fail_stress("it does not complete", start);
	for (uint64_t chunk = 0; chunk < CHUNKS; chunk++)
		for (uint64_t i = 0; i < CHUNK; i++)
			expect(chunk, i);
	if (atomic_load(&w.wrong))
		fail_stress("wrong memory", start);
	mm_lock(w.mm);
	kept = w.mm->mirror.have.nr || w.mm->wanted.pages.nr || w.mm->spaces.list[0]->orphans;
	mm_unlock(w.mm);
	if (kept)
		fail_stress("it is complete, and yet something is kept or wanted", start);
}

static void stress(uint64_t salt)
{
	struct mirror_range range;
	struct error err = { 0 };
	pthread_t touchers[TOUCHERS];
	struct timespec start;
	struct page_set lazy;

	clock_gettime(CLOCK_MONOTONIC, &start);

	set_up_world(salt);
	range = (struct mirror_range){ address(0), address(PAGES) };
	assert_int_equal(mm_announce(w.mm, &range, 1, &err), 0);
	send_precopy(w.memory_pair[1]);
	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, address(0), PAGES, &err), 0);
	assert_int_equal(mm_seal(w.mm, &lazy, &err), 0);
	page_set_destroy(&lazy);
	w.uffd = make_uffd(w.area, PAGES);
	assert_true(w.uffd >= 0);
	assert_int_equal(spaces_attach(w.mm, w.uffd, &err), 0);
	spaces_ready(w.mm);
	pthread_create(&w.source_thread, NULL, source_body, NULL);
	assert_int_equal(populate_start(&w.populate, &err), 0);
	for (uintptr_t i = 0; i < TOUCHERS; i++)
		pthread_create(&touchers[i], NULL, touch_body, (void *)i);
	for (int i = 0; i < TOUCHERS; i++)
		pthread_join(touchers[i], NULL);
	judge(&start);
	printf("  faults %lu, from mirror %lu, push %lu, fault %lu, zero %lu, late %lu, forks %lu, moves %lu\n",
	       w.mm->spaces.faults, w.mm->counts.from_mirror, w.mm->counts.push,
	       w.mm->counts.fault, w.mm->counts.zero + w.mm->spaces.zero, w.mm->counts.late,
	       atomic_load(&w.forks), atomic_load(&w.next_slot));
	take_down_world();
}

static void test_stress(void **state)
{
	need_uffd();
	for (uint64_t salt = 1; salt <= 3; salt++)
		stress(salt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
