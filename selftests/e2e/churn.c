// SPDX-License-Identifier: GPL-2.0
/*
 * A program whose dirty rate is known: it writes to so many pages in a second of its CPU time, and uses the whole of
 * a CPU. When a control group gives it a part of a CPU, it writes so much less.
 *
 *	churn FILE MIB HOT_MIB RATE_MIB
 *
 * It fills MIB of memory, and then writes to one page after another of the first HOT_MIB, RATE_MIB of pages in a second; 0:
 * none. Before each write it looks whether the page is as it was left. Once in 0.1 s of the clock it notes in FILE how
 * many pages it wrote, and how many were wrong; each tenth time it looks at all pages.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define MIB		256UL	/* pages */
#define NOTE_NS		100000000UL
#define LOOKS		10

/** struct churn - @writes: of each page, kept apart from the page itself; @notes: taken */
struct churn {
	const char *file;
	uint8_t *memory;
	uint64_t *writes;
	uint64_t pages, hot, rate, written, wrong, notes;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t *page_of(const struct churn *churn, uint64_t page)
{
	return (uint64_t *)(churn->memory + page * PAGE);
}

static void look(struct churn *churn, uint64_t page)
{
	const uint64_t *words = page_of(churn, page);

	churn->wrong += words[0] != churn->writes[page] || words[1] != page;
}

static void fill(struct churn *churn)
{
	churn->memory = mmap(NULL, churn->pages * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	churn->writes = calloc(churn->pages, sizeof(*churn->writes));
	if (churn->memory == MAP_FAILED || !churn->writes ||
	    madvise(churn->memory, churn->pages * PAGE, MADV_NOHUGEPAGE))
		err(1, "memory");
	for (uint64_t page = 0; page < churn->pages; page++) {
		page_of(churn, page)[1] = page;
		/* no two pages are the same, and none is zeros */
		page_of(churn, page)[2] = ~page;
	}
}

static void note(struct churn *churn)
{
	char text[64];
	int fd, bytes;

	if (++churn->notes % LOOKS == 0)
		for (uint64_t page = 0; page < churn->pages; page++)
			look(churn, page);
	bytes = snprintf(text, sizeof(text), "%lu %lu\n", churn->written, churn->wrong);
	fd = open(churn->file, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || pwrite(fd, text, bytes, 0) != bytes)
		err(1, "%s", churn->file);
	close(fd);
}

static void write_one(struct churn *churn)
{
	uint64_t page = churn->written % churn->hot;

	look(churn, page);
	*page_of(churn, page) = ++churn->writes[page];
	churn->written++;
}

int main(int argc, char **argv)
{
	uint64_t begin, noted = 0, now;
	struct churn churn = { 0 };

	if (argc != 5)
		errx(2, "usage: churn FILE MIB HOT_MIB RATE_MIB");
	churn.file = argv[1];
	churn.pages = strtoull(argv[2], NULL, 0) * MIB;
	churn.hot = strtoull(argv[3], NULL, 0) * MIB;
	churn.rate = strtoull(argv[4], NULL, 0) * MIB;
	fill(&churn);
	begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (;;) {
		uint64_t due = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / 1e9 * churn.rate;

		/* what it had to leave out is not made up for */
		if (due > churn.written + MIB) {
			begin += (due - churn.written - MIB) * 1e9 / churn.rate;
			due = churn.written + MIB;
		}
		while (churn.written < due)
			write_one(&churn);
		now = clock_ns(CLOCK_REALTIME);
		if (now < noted + NOTE_NS)
			continue;
		noted = now;
		note(&churn);
	}
}
