// SPDX-License-Identifier: GPL-2.0
/*
 * A program whose memory is like that of real ones to a compressor: of each 4 MiB three quarters are words, 512 KiB are
 * noise, which does not shrink, and 512 KiB zeros that were written.
 *
 *	prose FILE MIB WRITES	WRITES pages in a second get a new content
 *
 * What a page has follows from its number and from how often it was written. Before each write the whole page is looked at, and
 * once a second all pages are. Ten times a second the program notes in FILE how many pages it wrote, how many were wrong, and how
 * often it looked at all.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096UL
#define WORDS		64
#define NOTES		10	/* a second */
#define BLOCK_PAGES	1024UL
#define NOISE_FROM	768
#define ZEROS_FROM	896

static char words[WORDS][12];

/** struct prose - @versions: how often each page was written */
struct prose {
	const char *file;
	uint8_t *memory;
	uint32_t *versions;
	uint64_t pages, writes, random, written, wrong, looks;
};

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Of three to ten letters. */
static void words_make(void)
{
	uint64_t state = 88172645463325252ull;

	for (int i = 0; i < WORDS; i++)
		for (int at = next(&state) % 8 + 3; at; at--)
			words[i][at - 1] = 'a' + next(&state) % 26;
}

static void page_make(uint64_t page, uint32_t version, uint8_t *to)
{
	uint64_t state = (page + 1) * 0x9e3779b97f4a7c15ull + version;
	uint64_t kind = page % BLOCK_PAGES, *numbers = (uint64_t *)to;
	size_t at = 0;

	memset(to, 0, PAGE);
	if (kind < NOISE_FROM) {
		while (at < PAGE - 16) {
			size_t len = strlen(words[next(&state) % WORDS]);

			memcpy(to + at, words[state % WORDS], len);
			to[at + len] = ' ';
			at += len + 1;
		}
	} else if (kind < ZEROS_FROM) {
		for (size_t i = 0; i < PAGE / sizeof(*numbers); i++)
			numbers[i] = next(&state);
	} else {
		numbers[0] = version;
	}
}

static void look(struct prose *prose, uint64_t page)
{
	uint8_t want[PAGE];

	page_make(page, prose->versions[page], want);
	prose->wrong += !!memcmp(prose->memory + page * PAGE, want, PAGE);
}

static void fill(struct prose *prose)
{
	prose->memory = mmap(NULL, prose->pages * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	prose->versions = calloc(prose->pages, sizeof(*prose->versions));
	if (prose->memory == MAP_FAILED || !prose->versions)
		err(1, "%lu pages", prose->pages);
	for (uint64_t page = 0; page < prose->pages; page++)
		page_make(page, 0, prose->memory + page * PAGE);
}

static void write_some(struct prose *prose)
{
	for (uint64_t i = 0; i < prose->writes / NOTES; i++) {
		uint64_t page = next(&prose->random) % prose->pages;

		look(prose, page);
		page_make(page, ++prose->versions[page], prose->memory + page * PAGE);
		prose->written++;
	}
}

static void note(const struct prose *prose)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "%lu %lu %lu\n", prose->written, prose->wrong, prose->looks);
	int fd = open(prose->file, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || pwrite(fd, text, len, 0) != len)
		err(1, "%s", prose->file);
	close(fd);
}

int main(int argc, char **argv)
{
	struct prose prose = { .random = 88172645463325252ull };

	if (argc != 4)
		errx(2, "usage: prose FILE MIB WRITES");
	prose.file = argv[1];
	prose.pages = strtoull(argv[2], NULL, 0) * 256;
	prose.writes = strtoull(argv[3], NULL, 0);
	words_make();
	fill(&prose);
	for (uint64_t times = 0;; times++) {
		write_some(&prose);
		for (uint64_t page = 0; !(times % NOTES) && page < prose.pages; page++)
			look(&prose, page);
		prose.looks += !(times % NOTES);
		note(&prose);
		usleep(1000000 / NOTES);
	}
}
