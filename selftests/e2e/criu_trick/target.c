// SPDX-License-Identifier: GPL-2.0
/* The program that is migrated: it knows of each of its pages what it must hold. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "trick.h"

#define WORDS		(PAGE_BYTES / sizeof(uint64_t))
#define SMALL_PAGES	16

typedef uint64_t page_t[WORDS];

static page_t bss_pages[SMALL_PAGES] __attribute__((aligned(PAGE_BYTES)));
/* of the file, and changed: a page of a private file mapping */
static page_t data_pages[SMALL_PAGES] __attribute__((aligned(PAGE_BYTES))) = { { 1 } };

static struct progress progress;

static uint64_t word(const void *page, uint64_t seed, size_t i)
{
	return ((uintptr_t)page + seed * 0x9e3779b97f4a7c15) ^ (i * 0xbf58476d1ce4e5b9);
}

static void page_fill(page_t *page, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++)
		(*page)[i] = word(page, seed, i);
}

static void page_check(const page_t *page, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++)
		if ((*page)[i] != word(page, seed, i)) {
			progress.corrupt++;
			return;
		}
}

/*
 * A hot corner of what is in huge pages, where one write makes 512 pages dirty; and, where
 * huge pages are not, one page here and there.
 */
static bool page_is_hot(size_t i, size_t nr)
{
	return i < nr / 2 ? i < nr / 32 : !(i % 64);
}

static page_t *map_pages(size_t nr, int flags)
{
	page_t *pages = mmap(NULL, nr * PAGE_BYTES, PROT_READ | PROT_WRITE,
			     flags | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		_exit(3);
	return pages;
}

static void small_fill(page_t *pages)
{
	for (size_t i = 0; i < SMALL_PAGES; i++)
		page_fill(&pages[i], i);
}

static void small_check(page_t *pages)
{
	for (size_t i = 0; i < SMALL_PAGES; i++)
		page_check(&pages[i], i);
}

static void *echo_main(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	while (read(fd, &byte, 1) == 1)
		if (write(fd, &byte, 1) != 1)
			break;
	for (;;)
		pause();
	return NULL;
}

static void echo_start(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static int fd;
	pthread_t thread;

	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    pthread_create(&thread, NULL, echo_main, &fd))
		_exit(4);
}

static void report(int fd)
{
	if (pwrite(fd, &progress, sizeof(progress), 0) != sizeof(progress))
		_exit(5);
}

int target_main(char **argv)
{
	size_t nr = strtoul(argv[2], NULL, 10) << 8;
	int fd = open(argv[3], O_RDWR);
	uint8_t params[256] = { 0 };
	page_t *pages = map_pages(nr, MAP_PRIVATE);
	uint32_t *seeds = calloc(nr, sizeof(*seeds));
	page_t *shared = map_pages(SMALL_PAGES, MAP_SHARED);
	page_t *locked = map_pages(SMALL_PAGES, MAP_PRIVATE);
	page_t *hidden = map_pages(SMALL_PAGES, MAP_PRIVATE);

	echo_start(atoi(argv[4]));
	if (*argv[5] == '1' && syscall(SYS_io_uring_setup, 4, params) < 0)
		_exit(6);
	mlock(locked, SMALL_PAGES * PAGE_BYTES);
	madvise(&pages[nr / 2], nr / 2 * PAGE_BYTES, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < nr; i++)
		page_fill(&pages[i], 0);
	small_fill(bss_pages);
	small_fill(data_pages);
	small_fill(shared);
	small_fill(locked);
	small_fill(hidden);
	for (;;) {
		size_t i = progress.steps % nr;

		if (!i) {
			small_check(bss_pages);
			small_check(data_pages);
			small_check(shared);
			small_check(locked);
			mprotect(hidden, SMALL_PAGES * PAGE_BYTES, PROT_READ);
			small_check(hidden);
			mprotect(hidden, SMALL_PAGES * PAGE_BYTES, PROT_NONE);
		}
		page_check(&pages[i], seeds[i]);
		if (page_is_hot(i, nr))
			page_fill(&pages[i], ++seeds[i]);
		progress.steps++;
		progress.passes = progress.steps / nr;
		if (!(progress.steps % 64))
			report(fd);
	}
}
