// SPDX-License-Identifier: GPL-2.0
/*
 * A program that measures for how long it stood still. It fills memory, then notes the time once a
 * millisecond in a shared file. The longest gap between two notes is the time for which the program
 * was frozen, by the clock of one machine.
 *
 *	heartbeat FILE MIB [4k] [hot] [rate=MIB] [shared] [pairs=N] [threads=N] [reserved=GIB] [tasks=N]
 *
 * 4k: no huge pages. hot: writes to its memory all the time. rate: to so many MiB a second, one page after another. shared: MAP_SHARED|MAP_ANONYMOUS. pairs: N pairs of small mappings, one
 * with a written page and one without access. threads: N more threads, which sleep. reserved: GIB
 * of address space without access. tasks: N processes in all, which have MIB in all; the first one notes, the
 * others sleep.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define STOOD_NS	100000000UL	/* a longer time between two ticks: it was frozen */

/**
 * struct heart - the shared file
 * @ticks: notes taken
 * @last_ns: time of the last one
 * @max_gap_ns: longest time between two
 * @ready: memory is filled
 * @bad_pages: pages that the program found to be wrong
 * @filled: child processes whose memory is filled
 */
struct heart {
	uint64_t ticks;
	uint64_t last_ns;
	uint64_t max_gap_ns;
	uint64_t ready;
	uint64_t bad_pages;
	uint64_t filled;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	/* CRIU's restore makes a time namespace, in which CLOCK_MONOTONIC stood with the program */
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct heart *heart_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct heart *heart;

	if (fd < 0 || ftruncate(fd, sizeof(*heart)))
		err(1, "%s", path);
	heart = mmap(NULL, sizeof(*heart), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	if (heart == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	memset(heart, 0, sizeof(*heart));
	return heart;
}

/* Word 0 of a page is its number, word 1 counts its writes, word 2 is both. */
static void page_write(uint64_t *page, uint64_t number)
{
	page[0] = number + 1;
	page[1]++;
	page[2] = page[0] ^ page[1];
}

static uint64_t *memory_fill(uint64_t pages, bool small, bool shared)
{
	uint64_t *memory, i;

	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	if (small)
		madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	/* To read first would bring the huge zero page, and small pages after it. */
	for (i = 0; i < pages; i++)
		*(volatile uint64_t *)(memory + i * PAGE / 8) = 1;
	for (i = 0; i < pages; i++)
		page_write(memory + i * PAGE / 8, i);
	return memory;
}

static void pairs_map(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		char *pair = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pair == MAP_FAILED || mprotect(pair + PAGE, PAGE, PROT_NONE))
			err(1, "mapping %lu", i);
		*pair = 1;
	}
}

static void *thread_sleep(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static void threads_start(uint64_t nr)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1 << 16);
	for (uint64_t i = 0; i < nr; i++)
		if (pthread_create(&thread, &attr, thread_sleep, NULL))
			errx(1, "thread %lu", i);
}

static void space_reserve(uint64_t gib)
{
	if (gib && mmap(NULL, gib << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			0) == MAP_FAILED)
		err(1, "reserving %lu GiB", gib);
}

/* Each child has memory of its own, and none of its parent's. */
static void children_start(struct heart *heart, uint64_t nr, uint64_t pages, bool small, bool shared)
{
	for (uint64_t i = 0; i < nr; i++) {
		switch (fork()) {
		case -1:
			err(1, "child %lu", i);
		case 0:
			if (pages)
				memory_fill(pages, small, shared);
			__atomic_add_fetch(&heart->filled, 1, __ATOMIC_SEQ_CST);
			for (;;)
				pause();
		}
	}
	while (__atomic_load_n(&heart->filled, __ATOMIC_SEQ_CST) < nr)
		usleep(1000);
}

static void heart_tick(struct heart *heart)
{
	uint64_t now = now_ns();

	if (heart->last_ns && now - heart->last_ns > heart->max_gap_ns)
		heart->max_gap_ns = now - heart->last_ns;
	heart->last_ns = now;
	heart->ticks++;
}

/* What the page held is checked first. */
static void page_use(struct heart *heart, uint64_t *memory, uint64_t number)
{
	uint64_t *page = memory + number * PAGE / 8;

	if (page[0] != number + 1 || page[2] != (page[0] ^ page[1]))
		heart->bad_pages++;
	page_write(page, number);
}

/* A few pages each tick */
static void memory_use(struct heart *heart, uint64_t *memory, uint64_t pages)
{
	static uint64_t state = 88172645463325252ull;
	int i;

	for (i = 0; i < 8; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		page_use(heart, memory, state % pages);
	}
}

/* @rate: pages a second. While it stood it would have written nothing. */
static void memory_rewrite(struct heart *heart, uint64_t *memory, uint64_t pages, uint64_t rate)
{
	static uint64_t last_ns, owed, next;
	uint64_t now = now_ns(), passed = last_ns ? now - last_ns : 0;

	last_ns = now;
	owed += (passed < STOOD_NS ? passed : STOOD_NS) * rate;
	for (; owed >= 1000000000; owed -= 1000000000)
		page_use(heart, memory, next++ % pages);
}

static void number_take(const char *arg, const char *name, uint64_t *number)
{
	if (!strncmp(arg, name, strlen(name)))
		*number = strtoull(arg + strlen(name), NULL, 10);
}

int main(int argc, char **argv)
{
	bool small = false, hot = false, shared = false;
	uint64_t pages, *memory, pairs = 0, threads = 0, gib = 0, tasks = 1, rate = 0;
	struct heart *heart;
	int i;

	if (argc < 3)
		errx(2, "usage: heartbeat FILE MIB [4k] [hot] [rate=MIB] [shared] [pairs=N] [threads=N] [reserved=GIB] [tasks=N]");
	for (i = 3; i < argc; i++) {
		small |= !strcmp(argv[i], "4k");
		hot |= !strcmp(argv[i], "hot");
		shared |= !strcmp(argv[i], "shared");
		number_take(argv[i], "pairs=", &pairs);
		number_take(argv[i], "threads=", &threads);
		number_take(argv[i], "reserved=", &gib);
		number_take(argv[i], "tasks=", &tasks);
		number_take(argv[i], "rate=", &rate);
	}
	heart = heart_open(argv[1]);
	tasks = tasks ? tasks : 1;
	pages = strtoull(argv[2], NULL, 0) * (1 << 20) / PAGE / tasks;
	children_start(heart, tasks - 1, pages, small, shared);
	memory = pages ? memory_fill(pages, small, shared) : NULL;
	pairs_map(pairs);
	threads_start(threads);
	space_reserve(gib);
	heart->ready = 1;
	for (;;) {
		heart_tick(heart);
		if (hot && pages)
			memory_use(heart, memory, pages);
		if (rate && pages)
			memory_rewrite(heart, memory, pages, rate * (1 << 20) / PAGE);
		usleep(1000);
	}
}
