// SPDX-License-Identifier: GPL-2.0
/*
 * A program that looks at its memory, and changes its mappings, while a lazy restore brings it.
 *
 *	lazy_acts DIR MIB ACT...	read, fork, remap, shrink, remove, unmap, storm (five of these at a time), load, load1, load16
 *
 * It fills MIB of memory, writes DIR/ready, and waits for DIR/go. Then it acts, and writes to DIR/result: "ok", or
 * what was wrong. load tells the times of first touches by two threads, load1 and load16 by one and by 16. It goes on until it is killed.
 */
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(uint64_t))
#define PIECE		64UL	/* pages that an act changes at a time */
#define READERS		4
#define LOADERS		2
#define CHILDREN	24
#define HOLE		7	/* each seventh page was never touched, but with load */

static const char *dir;
static uint64_t *memory;
static size_t pages, hole = HOLE;
static atomic_int wrong;
static uint32_t *times;

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ULL;
	x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dULL;
	return x ^ (x >> 33);
}

__attribute__((format(printf, 2, 3)))
static void tell(const char *what, const char *fmt, ...)
{
	char name[512], temp[512 + 8];
	va_list args;
	FILE *file;

	snprintf(name, sizeof(name), "%s/%s", dir, what);
	snprintf(temp, sizeof(temp), "%s.new", name);
	file = fopen(temp, "w");
	if (!file)
		err(1, "%s", name);
	va_start(args, fmt);
	vfprintf(file, fmt, args);
	va_end(args);
	if (fclose(file) || rename(temp, name))
		err(1, "%s", name);
}

static void complain(const char *act, size_t page)
{
	if (!atomic_exchange(&wrong, 1))
		tell("wrong", "%s: page %zu of process %d\n", act, page, getpid());
}

static int has_content(size_t page)
{
	return hole == SIZE_MAX || page % hole;
}

/* Whether the page at @at is page @page as it was filled. */
static int is_right(const uint64_t *at, size_t page)
{
	for (size_t i = 0; i < WORDS; i += WORDS - 1)
		if (at[i] != (has_content(page) ? mix(page * WORDS + i + 1) : 0))
			return 0;
	return 1;
}

static int is_zero(const uint64_t *at)
{
	return !at[0] && !at[WORDS - 1];
}

/* struct part - @nr pages from @first on, for one act */
struct part {
	size_t first, nr;
};

static uint64_t *at(size_t page)
{
	return memory + page * WORDS;
}

static void check(const char *act, size_t first, size_t nr)
{
	uint64_t order = mix(first + getpid()) | 1;

	for (size_t i = 0; i < nr && !wrong; i++) {
		size_t page = first + (i * (order % 1021 * 2 + 1)) % nr;

		if (!is_right(at(page), page))
			complain(act, page);
	}
}

static void *act_read(void *arg)
{
	const struct part *part = arg;

	check("read", part->first, part->nr);
	return NULL;
}

/* Children, and children of theirs, look at what the parent has not touched yet. */
static void *act_fork(void *arg)
{
	const struct part *part = arg;
	size_t step = part->nr / CHILDREN;

	for (size_t i = 0; i < CHILDREN; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			pid_t grandchild = i % 4 ? 0 : fork();

			check("fork", part->first + i * step, step);
			check("fork, again", part->first, step);
			if (grandchild)
				waitpid(grandchild, &status, 0);
			_exit(wrong || (grandchild && status));
		}
		if (child < 0) {
			complain("fork failed", i);
			return NULL;
		}
		/* half of the children run while the parent goes on */
		if (i % 2 && (waitpid(child, &status, 0) != child || status))
			complain("child", i);
	}
	for (int status; waitpid(-1, &status, 0) > 0;)
		if (status)
			complain("late child", 0);
	check("fork, the parent", part->first, part->nr);
	return NULL;
}

static void *act_remap(void *arg)
{
	const struct part *part = arg;

	for (size_t i = 0; i + 2 * PIECE <= part->nr && !wrong; i += 2 * PIECE) {
		size_t first = part->first + i;
		uint64_t *to = mmap(NULL, PIECE * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		/* a part of the piece is touched first */
		if (!is_right(at(first + 3), first + 3))
			complain("before remap", first + 3);
		to = mremap(at(first), PIECE * PAGE, PIECE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		if (to == MAP_FAILED)
			complain("mremap failed", first);
		for (size_t j = 0; j < PIECE && to != MAP_FAILED; j++)
			if (!is_right(to + j * WORDS, first + j))
				complain("remap", first + j);
		if (!is_right(at(first + PIECE), first + PIECE))
			complain("behind remap", first + PIECE);
	}
	return NULL;
}

/*
 * Two pieces move and become one. Linux 6.1 and 6.12 tell of it as if both had come to the new place: the piece behind
 * that place must keep its own pages.
 */
static void *act_shrink(void *arg)
{
	const struct part *part = arg;

	for (size_t i = 0; i + 4 * PIECE <= part->nr && !wrong; i += 4 * PIECE) {
		size_t first = part->first + i, to = first + 2 * PIECE;

		if (mremap(at(first), 2 * PIECE * PAGE, PIECE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(to)) != at(to)) {
			complain("shrinking mremap failed", first);
			return NULL;
		}
		for (size_t j = 0; j < PIECE; j++)
			if (!is_right(at(to + j), first + j))
				complain("shrink", first + j);
		check("behind shrink", to + PIECE, PIECE);
	}
	return NULL;
}

static void *act_remove(void *arg)
{
	const struct part *part = arg;

	for (size_t i = 0; i + 2 * PIECE <= part->nr && !wrong; i += 2 * PIECE) {
		size_t first = part->first + i;

		if (madvise(at(first), PIECE * PAGE, MADV_DONTNEED))
			complain("madvise failed", first);
		for (size_t j = 0; j < PIECE; j++)
			if (!is_zero(at(first + j)))
				complain("remove", first + j);
		check("behind remove", first + PIECE, PIECE);
	}
	return NULL;
}

static void *act_unmap(void *arg)
{
	const struct part *part = arg;

	for (size_t i = 0; i + 2 * PIECE <= part->nr && !wrong; i += 2 * PIECE) {
		size_t first = part->first + i;

		if (munmap(at(first), PIECE * PAGE) ||
		    mmap(at(first), PIECE * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at(first))
			continue; /* another thread's mapping has the place */
		for (size_t j = 0; j < PIECE; j++)
			if (!is_zero(at(first + j)))
				complain("unmap", first + j);
		check("behind unmap", first + PIECE, PIECE);
	}
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Touches each page once, in an order without pattern, and notes how long each touch of a missing page took. */
static void *act_load(void *arg)
{
	const struct part *part = arg;
	uint32_t *order = calloc(part->nr, sizeof(*order));

	if (!order)
		err(1, "calloc");
	for (size_t i = 0; i < part->nr; i++) {
		size_t j = mix(i + part->first + 1) % (i + 1);

		order[i] = order[j];
		order[j] = part->first + i;
	}
	for (size_t i = 0; i < part->nr; i++) {
		size_t page = order[i];
		unsigned char there = 0;
		uint64_t start;

		mincore(at(page), PAGE, &there);
		start = now_ns();
		if (!is_right(at(page), page))
			complain("load", page);
		times[page] = there & 1 ? 0 : now_ns() - start;
	}
	free(order);
	return NULL;
}

static int compare_times(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

static void tell_times(uint64_t start)
{
	size_t nr = 0;

	for (size_t i = 0; i < pages; i++)
		if (times[i])
			times[nr++] = times[i];
	qsort(times, nr, sizeof(*times), compare_times);
	tell("times", "faults %zu p50_ns %u p99_ns %u max_ns %u all_ms %lu\n", nr, nr ? times[nr / 2] : 0,
	     nr ? times[nr * 99 / 100] : 0, nr ? times[nr - 1] : 0, (now_ns() - start) / 1000000);
}

static const struct act {
	const char *name;
	void *(*run)(void *part);
	size_t threads;
} acts[] = {
	{ "read", act_read, READERS }, { "fork", act_fork, 1 }, { "remap", act_remap, 2 },
	{ "remove", act_remove, 2 }, { "unmap", act_unmap, 1 },
	{ "shrink", act_shrink, 2 }, { "load", act_load, LOADERS }, { "load1", act_load, 1 },
	{ "load16", act_load, 16 },
};

#define NR_ACTS		(sizeof(acts) / sizeof(*acts))
#define IN_STORM	5	/* the first ones */
#define THREADS_MAX	32

/* Each thread has a part of the memory of its own. */
static void play(const struct act *from, size_t nr)
{
	pthread_t threads[THREADS_MAX];
	struct part parts[THREADS_MAX];
	size_t all = 0, made = 0;

	for (size_t i = 0; i < nr; i++)
		all += from[i].threads;
	for (size_t i = 0; i < nr; i++) {
		for (size_t j = 0; j < from[i].threads; j++, made++) {
			parts[made] = (struct part){ pages / all * made, pages / all };
			if (pthread_create(&threads[made], NULL, from[i].run, &parts[made]))
				err(1, "pthread_create");
		}
	}
	for (size_t i = 0; i < made; i++)
		pthread_join(threads[i], NULL);
}

static void fill(void)
{
	for (size_t page = 0; page < pages; page++)
		for (size_t i = 0; i < WORDS && has_content(page); i++)
			at(page)[i] = mix(page * WORDS + i + 1);
}

int main(int argc, char **argv)
{
	char go[512];
	uint64_t start;

	if (argc < 4)
		errx(2, "usage: lazy_acts DIR MIB ACT...");
	dir = argv[1];
	pages = strtoul(argv[2], NULL, 10) << 8;
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (int i = 3; i < argc; i++)
		if (!strncmp(argv[i], "load", 4))
			hole = SIZE_MAX;
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	fill();
	snprintf(go, sizeof(go), "%s/go", dir);
	tell("ready", "%d\n", getpid());
	while (access(go, F_OK))
		usleep(1000);
	times = calloc(pages, sizeof(*times));
	if (!times)
		err(1, "calloc");
	start = now_ns();
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "storm"))
			play(acts, IN_STORM);
		for (size_t j = 0; j < NR_ACTS; j++)
			if (!strcmp(argv[i], acts[j].name))
				play(&acts[j], 1);
	}
	tell_times(start);
	tell("result", wrong ? "wrong\n" : "ok\n");
	for (;;)
		pause();
}
