// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "source/outgoing.h"

#define COST_DIR		"/var/lib/migrate-helper"
#define COST_FILE		COST_DIR "/cost"
#define FIRST_GUESS_HERE	150000000UL	/* dump and images */
#define FIRST_GUESS_THERE	200000000UL	/* restore */

static uint64_t read_cost(void)
{
	FILE *file = fopen(COST_FILE, "re");
	uint64_t ns = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

uint64_t outgoing_known_cost(const struct outgoing *out)
{
	return (read_cost() ?: FIRST_GUESS_HERE) + (out->peer_fixed_ns ?: FIRST_GUESS_THERE);
}

void outgoing_keep_cost(const struct outgoing *out)
{
	const struct figures *figures = &out->figures;
	uint64_t theirs = figures->restore_ns + figures->frozen_send_ns, ours, old = read_cost();
	FILE *file;

	/* what a comparison or a test's delays took says nothing of the next migration */
	if (figures->frozen_ns <= theirs || figures->verified_pages ||
	    getenv("MIGRATE_HELPER_STATE_DELAY_MS"))
		return;
	ours = figures->frozen_ns - theirs;
	/* an estimate: where it cannot be kept, the guess does */
	mkdir(COST_DIR, 0755);
	file = fopen(COST_FILE, "we");
	if (!file)
		return;
	fprintf(file, "%" PRIu64 "\n", old ? (3 * old + ours) / 4 : ours);
	fclose(file);
}
