// SPDX-License-Identifier: GPL-2.0
/*
 * A process and children that have its memory since fork.
 *
 *	family PORT MIB CHILDREN idle|busy SEED
 *
 * The process listens on PORT and each child on a port of its own behind it. Who connects is told, in
 * one line: passes over the memory, wrong pages. Each process knows which version of each page it has:
 * its parent's as of the fork, or its own. A busy one writes pages all the time, and the first one
 * forks children that live for up to a second, look, write, and tell by their exit status. Right before a fork it
 * may drop pages (madvise), unmap some (mremap), or move some away and back.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_WORDS	512
#define STEP		512	/* pages that are looked at in one turn */
#define WRITES		4	/* pages that a busy process writes in one turn */
#define SHORT_LIVED	6	/* children at a time that live for a moment */
#define SHAKEN		64	/* pages that are dropped, unmapped or moved at a time */
#define DROPPED		0x80000000U	/* of a version: the page is one of zeros */

static uint64_t *memory, *spare, pages, passes, wrong, random_state;
static uint32_t *versions;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t word_of(uint64_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15 ^ versions[page];
}

static void page_write(uint64_t page)
{
	versions[page] = (versions[page] & ~DROPPED) + 1;
	memory[page * PAGE_WORDS] = word_of(page);
	memory[page * PAGE_WORDS + PAGE_WORDS - 1] = ~word_of(page);
}

static void page_look(uint64_t page)
{
	bool dropped = versions[page] & DROPPED;

	if (memory[page * PAGE_WORDS] != (dropped ? 0 : word_of(page)) ||
	    memory[page * PAGE_WORDS + PAGE_WORDS - 1] != (dropped ? 0 : ~word_of(page)))
		wrong++;
}

static void *map(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	return at;
}

static int listen_on(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		err(1, "port %d", port);
	return fd;
}

static void tell(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	dprintf(fd, "%lu %lu\n", passes, wrong);
	close(fd);
}

static void map_hole(uint64_t *at)
{
	if (at && mmap(at, SHAKEN * PAGE_WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0) == MAP_FAILED)
		err(1, "mmap");
}

/* Return: false: the kernel moves no piece that is of several mappings, and what was at @to is gone */
static bool move(uint64_t *from, uint64_t *to)
{
	const size_t bytes = SHAKEN * PAGE_WORDS * 8;
	bool moved = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;

	if (!moved && errno != EFAULT)
		err(1, "mremap");
	return moved;
}

/* Return: where a hole of SHAKEN pages is then, to be mapped again; NULL: nowhere */
static uint64_t *shake(void)
{
	uint64_t page = random_next() % (pages - 2 * SHAKEN), how = random_next() % 6;
	uint64_t *at = memory + page * PAGE_WORDS, *tail = at + SHAKEN * PAGE_WORDS;
	const size_t bytes = SHAKEN * PAGE_WORDS * 8;

	if (how < 2) {
		if (madvise(at, bytes, MADV_DONTNEED))
			err(1, "madvise");
		for (int i = 0; i < SHAKEN; i++)
			versions[page + i] = (versions[page + i] + 1) | DROPPED;
	}
	if (how == 2) {
		if (move(at, spare) && !move(spare, at))
			err(1, "mremap");
		map_hole(spare);
	}
	if (how != 3)
		return NULL;
	if (mremap(at, 2 * bytes, bytes, 0) != at)
		err(1, "mremap");
	for (int i = SHAKEN; i < 2 * SHAKEN; i++)
		versions[page + i] = (versions[page + i] + 1) | DROPPED;
	return tail;
}

/* What it has from the parent, then what it writes itself. */
static void live_for_a_moment(uint64_t *hole)
{
	map_hole(hole);
	usleep(random_next() % 1000000);
	for (int i = 0; i < 4 * STEP; i++)
		page_look(random_next() % pages);
	for (int i = 0; i < STEP; i++)
		page_write(random_next() % pages);
	for (int i = 0; i < 4 * STEP; i++)
		page_look(random_next() % pages);
	_exit(wrong > 0);
}

/* Children that the destination's kernel has killed count too. */
static void renew_children(int listener)
{
	static int alive;
	uint64_t *hole;
	int status;

	while (alive && waitpid(-1, &status, WNOHANG) > 0) {
		alive--;
		wrong += status != 0;
	}
	if (alive >= SHORT_LIVED || random_next() % 20)
		return;
	hole = shake();
	alive++;
	if (!fork()) {
		wrong = 0;
		random_state ^= getpid();
		close(listener);
		live_for_a_moment(hole);
	}
	map_hole(hole);
}

static void member(int port, bool busy, bool first)
{
	struct pollfd pfd = { .fd = listen_on(port), .events = POLLIN };
	uint64_t at = 0;

	for (;;) {
		for (int i = 0; i < STEP; i++)
			page_look(at++ % pages);
		for (int i = 0; busy && i < WRITES; i++)
			page_write(random_next() % pages);
		if (at % pages < STEP)
			passes++;
		if (busy && first)
			renew_children(pfd.fd);
		while (poll(&pfd, 1, 1) > 0)
			tell(pfd.fd);
	}
}

int main(int argc, char **argv)
{
	int port, children;
	bool busy;

	/* a client that gave up while the program stood */
	signal(SIGPIPE, SIG_IGN);
	if (argc != 6)
		errx(2, "usage: see the source");
	port = atoi(argv[1]);
	pages = strtoul(argv[2], NULL, 10) * 256;
	children = atoi(argv[3]);
	busy = !strcmp(argv[4], "busy");
	random_state = strtoull(argv[5], NULL, 10) * 2654435761 + 88172645463325252;
	memory = map(pages * PAGE_WORDS * 8);
	spare = map(SHAKEN * PAGE_WORDS * 8);
	versions = map(pages * sizeof(*versions));
	for (uint64_t i = 0; i < pages; i++)
		page_write(i);
	for (int i = 1; i <= children; i++) {
		random_next();
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			member(port + i, busy, false);
		}
	}
	member(port, busy, true);
}
