// SPDX-License-Identifier: GPL-2.0
/*
 * A parent and a child with memory that the test can look at: private, inherited, and shared.
 *
 *	page_tree DIR MIB [SHARED]	with so many pages of shared memory (none)
 *
 * Each process writes DIR/PID.ready when its memory is filled. On SIGUSR1 it writes a digest of its memory to
 * DIR/PID.digest (a new file, by rename); on SIGUSR2 it first writes to each eighth page. It does nothing else.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(uint64_t))

static const char *dir;
static uint64_t *own, *shared;
static size_t own_pages, shared_pages;

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ULL;
	x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dULL;
	return x ^ (x >> 33);
}

static void fill(uint64_t *at, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++)
		at[i] = mix(seed * WORDS + i + 1);
}

static uint64_t digest(const uint64_t *at, size_t pages, uint64_t sum)
{
	for (size_t i = 0; i < pages * WORDS; i++)
		sum = mix(sum + at[i]) + i;
	return sum;
}

static void tell(const char *what, uint64_t value)
{
	char name[4096], temp[4096 + 8];
	FILE *file;

	snprintf(name, sizeof(name), "%s/%d.%s", dir, getpid(), what);
	snprintf(temp, sizeof(temp), "%s.new", name);
	file = fopen(temp, "w");
	if (!file || fprintf(file, "%016" PRIx64 "\n", value) < 0 || fclose(file) ||
	    rename(temp, name))
		err(1, "%s", name);
}

static void serve(void)
{
	static uint64_t round;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	tell("ready", 0);
	while (!sigwait(&set, &sig)) {
		if (sig == SIGUSR2)
			round++;
		for (size_t i = round % 8; sig == SIGUSR2 && i < own_pages; i += 8)
			fill(own + i * WORDS, (round << 32) + i);
		tell("digest", digest(shared, shared_pages, digest(own, own_pages, getpid())));
	}
}

int main(int argc, char **argv)
{
	sigset_t set;
	pid_t child;

	if (argc < 3)
		errx(2, "usage: page_tree DIR MIB [SHARED]");
	dir = argv[1];
	own_pages = strtoul(argv[2], NULL, 10) << 8;
	shared_pages = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	own = mmap(NULL, own_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared_pages)
		shared = mmap(NULL, shared_pages * PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (own == MAP_FAILED || shared == MAP_FAILED)
		err(1, "mmap");
	/* each fourth page stays a hole, or the page of zeros */
	for (size_t i = 0; i < own_pages; i++)
		if (i % 4)
			fill(own + i * WORDS, i);
	for (size_t i = 0; i < shared_pages; i += 2)
		fill(shared + i * WORDS, i << 40);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (size_t i = 0; i < own_pages; i += 16)
			fill(own + i * WORDS, (1ULL << 60) + i);
	}
	serve();
	return 1;
}
