// SPDX-License-Identifier: GPL-2.0
/*
 * The program that mutate.c moves. It reads and writes all of its memory, and exits with 1 when a
 * page has wrong content. The program is static and has few mappings, so that its images are small.
 */
#include <err.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mutate_target.h"

int main(void)
{
	volatile uint64_t *memory = mmap((void *)TARGET_ADDR, TARGET_PAGES * TARGET_PAGE,
					 PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	const uint64_t words = TARGET_PAGE / sizeof(*memory);

	if (memory != (void *)TARGET_ADDR)
		err(1, "mmap");
	for (uint64_t i = 0; i < TARGET_PAGES; i++)
		memory[i * words] = i + 1;
	for (;;) {
		for (uint64_t i = 0; i < TARGET_PAGES; i++) {
			if (memory[i * words] != i + 1)
				return 1;
			memory[i * words + 1]++;
		}
		usleep(1000);
	}
}
