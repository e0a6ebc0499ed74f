// SPDX-License-Identifier: GPL-2.0
/*
 * A program that writes all the time, and knows what each page of it must be.
 *
 *	page_writer FILE MIB PAGES_A_MS [changes]
 *
 * It goes over its pages again and again: each is compared with what the pass before wrote, then written anew. FILE, a
 * mapped struct, tells passes and wrong pages to whoever looks. With "changes" each pass also maps, unmaps, moves,
 * drops and protects memory, and forks a child.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(uint64_t))
#define SIDE	64UL	/* pages of the mappings that change */

/* Read by pre_dump with od. */
struct told {
	uint64_t passes, wrong, first_wrong;
};

static volatile struct told *told;
static uint64_t pass;

static uint64_t word(uint64_t page, uint64_t at, uint64_t i)
{
	uint64_t x = (page << 40) ^ (at << 20) ^ (i + 1);

	x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ULL;
	return x ^ (x >> 27);
}

static void fill(uint64_t *to, uint64_t page, uint64_t at)
{
	for (size_t i = 0; i < WORDS; i++)
		to[i] = word(page, at, i);
}

static void look(const uint64_t *from, uint64_t page, uint64_t at)
{
	for (size_t i = 0; i < WORDS; i++)
		if (from[i] != word(page, at, i)) {
			if (!told->wrong)
				told->first_wrong = page;
			told->wrong++;
			return;
		}
}

/* Its neighbours are no memory: in a mapping that merges with a new one all pages count as written. */
static uint64_t *map(size_t pages)
{
	char *at = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + PAGE, pages * PAGE, PROT_READ | PROT_WRITE))
		err(1, "mmap");
	return (uint64_t *)(at + PAGE);
}

static void unmap(uint64_t *at)
{
	if (munmap((char *)at - PAGE, (SIDE + 2) * PAGE))
		err(1, "munmap");
}

static void look_all(const uint64_t *at, uint64_t base, uint64_t seed)
{
	for (size_t i = 0; i < SIDE; i++)
		look(at + i * WORDS, base + i, seed);
}

static void fill_all(uint64_t *at, uint64_t base, uint64_t seed)
{
	for (size_t i = 0; i < SIDE; i++)
		fill(at + i * WORDS, base + i, seed);
}

/* @moved and @hidden keep what they had; the others are new in each pass. */
static void change(void)
{
	static uint64_t *moved, *hidden, *dropped;
	uint64_t *fresh = map(SIDE), *old;
	pid_t child;

	if (!moved) {
		moved = map(SIDE);
		hidden = map(SIDE);
		dropped = map(SIDE);
		fill_all(moved, 1 << 22, 7);
		fill_all(hidden, 2 << 22, 7);
	}
	fill_all(fresh, 3 << 22, pass);
	/* the new place is taken first, so that the kernel does not give the old one back */
	old = moved;
	if (mremap(moved, SIDE * PAGE, SIDE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, fresh) != fresh)
		err(1, "mremap");
	moved = fresh;
	unmap(old);
	look_all(moved, 1 << 22, 7);
	mprotect(hidden, SIDE * PAGE, PROT_READ | PROT_WRITE);
	look_all(hidden, 2 << 22, 7);
	mprotect(hidden, SIDE * PAGE, pass % 2 ? PROT_NONE : PROT_READ);
	madvise(dropped, SIDE * PAGE, MADV_DONTNEED);
	fill_all(dropped, 4 << 22, pass);
	child = fork();
	if (!child) {
		fill_all(dropped, 4 << 22, pass + 1);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	look_all(dropped, 4 << 22, pass);
}

int main(int argc, char **argv)
{
	bool changes = argc > 4;
	size_t pages, pace;
	uint64_t *memory;
	int fd;

	if (argc < 4)
		errx(2, "usage: page_writer FILE MIB PAGES_A_MS [changes]");
	fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || ftruncate(fd, PAGE))
		err(1, "%s", argv[1]);
	told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pages = strtoul(argv[2], NULL, 10) << 8;
	pace = strtoul(argv[3], NULL, 10);
	memory = map(pages);
	if (told == MAP_FAILED || !pace)
		errx(1, "a bad argument");
	for (size_t i = 0; i < pages; i++)
		fill(memory + i * WORDS, i, 0);
	for (;;) {
		told->passes = ++pass;
		if (changes)
			change();
		for (size_t i = 0; i < pages; i++) {
			look(memory + i * WORDS, i, pass - 1);
			fill(memory + i * WORDS, i, pass);
			if (i % pace == pace - 1)
				usleep(1000);
		}
	}
}
