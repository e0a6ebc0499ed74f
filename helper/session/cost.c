// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "session/cost.h"

#define KINDS_MAX	256
#define KIND_BYTES	32
#define KEPT		7	/* migrations of a kind; the oldest goes first */
#define SURE		3	/* with fewer, one may be an odd one: what is true of all kinds counts too */
#define PERMILLE_MAX	100000

const char *cost_dir = "/var/lib/migrate-helper";

static const char *const file_names[] = {
	[COST_DUMP] = "dump-factors", [COST_RESTORE] = "restore-factors",
};

/**
 * struct model - how many times a measured primitive one more of each costs; measured with CRIU 4.1.1 and
 * Linux 6.18, and with Linux 6.1 on an emulated CPU
 * @files, @wakes: of any program, with its first process: factors of earlier versions, which knew no other
 *	one, stay true
 * @process_files, @process_wakes: of each further process, apart from its threads, mappings and descriptors
 * @thread_files, @thread_wakes: CRIU speaks with its code in each thread, and waits for it
 * @shared_page: CRIU's own loop and the comparison, on two CPUs side by side
 */
static const struct model {
	double files, wakes, process_files, process_wakes, thread_files, thread_wakes;
	double mapping, descriptor, private_page, drained_page, image_page, shared_page;
} models[] = {
	[COST_DUMP] = { 2120, 113, 280, 27, 70, 2.9, 6.7, 15, 0.012, 1.2, 3, 0.7 },
	[COST_RESTORE] = { 1190, 139, 180, 20, 50, 5.4, 5.6, 10, 0, 0, 3.5, 0 },
};

uint64_t cost_model_ns(enum cost cost, const struct shape *shape, const struct speed *speed)
{
	const struct model *model = &models[cost];
	uint64_t others = shape->processes ? shape->processes - 1 : 0;

	return (model->files + model->process_files * others +
		model->thread_files * shape->threads +
		model->descriptor * shape->descriptors) * speed->file +
	       (model->wakes + model->process_wakes * others +
		model->thread_wakes * shape->threads) * speed->wake +
	       model->mapping * speed->mapping * shape->mappings +
	       (model->private_page * shape->private_pages +
		model->drained_page * shape->drained_pages +
		model->image_page * shape->image_pages +
		model->shared_page * shape->shared_pages) * speed->page;
}

/** struct kind - factors of one kind of program, in thousandths, oldest first */
struct kind {
	char name[KIND_BYTES];
	unsigned int nr;
	unsigned int factors[KEPT];
};

/** struct factors - the file */
struct factors {
	unsigned int nr;
	struct kind kinds[KINDS_MAX];
};

/* The name of a program may hold anything; a line of the file is words. */
static void name_clean(const char *from, char *name)
{
	size_t i = 0;

	for (; from[i] && i < KIND_BYTES - 1; i++)
		name[i] = isgraph((unsigned char)from[i]) ? from[i] : '_';
	if (!i)
		name[i++] = '_';
	name[i] = 0;
}

static bool kind_parse(char *line, struct kind *kind)
{
	char *save, *word = strtok_r(line, " \n", &save);

	memset(kind, 0, sizeof(*kind));
	if (!word || strlen(word) >= KIND_BYTES)
		return false;
	strcpy(kind->name, word);
	while (kind->nr < KEPT && (word = strtok_r(NULL, " \n", &save))) {
		long factor = strtol(word, NULL, 10);

		if (factor <= 0 || factor > PERMILLE_MAX)
			return false;
		kind->factors[kind->nr++] = factor;
	}
	return kind->nr;
}

static struct factors *factors_read(enum cost cost)
{
	struct factors *all = calloc(1, sizeof(*all));
	char path[PATH_MAX], line[256];
	FILE *file;

	if (!all)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", cost_dir, file_names[cost]);
	file = fopen(path, "re");
	while (file && all->nr < KINDS_MAX && fgets(line, sizeof(line), file))
		if (kind_parse(line, &all->kinds[all->nr]))
			all->nr++;
	if (file)
		fclose(file);
	return all;
}

/* Another migration that writes at the same time may be lost, and no reader sees half a file. */
static void factors_write(const struct factors *all, enum cost cost)
{
	char path[PATH_MAX], fresh[PATH_MAX + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", cost_dir, file_names[cost]);
	snprintf(fresh, sizeof(fresh), "%s.%d", path, getpid());
	mkdir(cost_dir, 0755);
	file = fopen(fresh, "we");
	if (!file)
		return;
	for (unsigned int i = 0; i < all->nr; i++) {
		fprintf(file, "%s", all->kinds[i].name);
		for (unsigned int j = 0; j < all->kinds[i].nr; j++)
			fprintf(file, " %u", all->kinds[i].factors[j]);
		fprintf(file, "\n");
	}
	if (fclose(file) || rename(fresh, path))
		unlink(fresh);
}

static int compare(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

static unsigned int median(unsigned int *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), compare);
	return values[nr / 2];
}

static unsigned int factor_of(const struct kind *kind)
{
	unsigned int values[KEPT];

	memcpy(values, kind->factors, sizeof(values));
	return median(values, kind->nr);
}

/* What is true of a program that was not moved before. */
static unsigned int factor_of_all(const struct factors *all)
{
	unsigned int values[KINDS_MAX], nr = 0;

	for (unsigned int i = 0; i < all->nr; i++)
		values[nr++] = factor_of(&all->kinds[i]);
	while (nr < SURE)
		values[nr++] = 1000;
	return median(values, nr);
}

static struct kind *kind_find(struct factors *all, const char *name)
{
	for (unsigned int i = 0; i < all->nr; i++)
		if (!strcmp(all->kinds[i].name, name))
			return &all->kinds[i];
	return NULL;
}

static unsigned int factor_find(struct factors *all, const char *name)
{
	const struct kind *kind = kind_find(all, name);
	unsigned int values[SURE], nr = 0;

	if (!kind)
		return factor_of_all(all);
	if (kind->nr >= SURE)
		return factor_of(kind);
	for (; nr < kind->nr; nr++)
		values[nr] = kind->factors[nr];
	while (nr < SURE)
		values[nr++] = factor_of_all(all);
	return median(values, nr);
}

uint64_t cost_expect_ns(enum cost cost, const char *kind, uint64_t model_ns)
{
	struct factors *all = factors_read(cost);
	char name[KIND_BYTES];
	uint64_t ns = model_ns;

	name_clean(kind, name);
	if (all)
		ns = model_ns / 1000 * factor_find(all, name);
	free(all);
	return ns;
}

static void kind_add(struct kind *kind, unsigned int factor)
{
	if (kind->nr == KEPT)
		memmove(kind->factors, kind->factors + 1, --kind->nr * sizeof(*kind->factors));
	kind->factors[kind->nr++] = factor;
}

/* The kinds are in the order of their last migration: the first makes room. */
static void kind_keep(struct factors *all, const char *name, unsigned int factor)
{
	struct kind *found = kind_find(all, name), kind = { 0 };

	strcpy(kind.name, name);
	if (found)
		kind = *found;
	else if (all->nr == KINDS_MAX)
		found = all->kinds;
	if (found) {
		memmove(found, found + 1,
			(all->kinds + all->nr - found - 1) * sizeof(*found));
		all->nr--;
	}
	kind_add(&kind, factor);
	all->kinds[all->nr++] = kind;
}

void cost_keep(enum cost cost, const char *kind, uint64_t model_ns, uint64_t ns)
{
	struct factors *all = model_ns >= 1000 ? factors_read(cost) : NULL;
	uint64_t factor = all ? ns / (model_ns / 1000) : 0;
	char name[KIND_BYTES];

	if (all && factor && factor <= PERMILLE_MAX) {
		name_clean(kind, name);
		kind_keep(all, name, factor);
		factors_write(all, cost);
	}
	free(all);
}
