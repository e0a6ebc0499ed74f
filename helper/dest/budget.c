// SPDX-License-Identifier: GPL-2.0
#include "criu/image.h"
#include "dest/budget.h"
#include "os/memory_limit.h"
#include "os/proc.h"

#define MIB		(1UL << 20)
#define SLACK		(4 * MIB)	/* allowed difference between the figures of both ends */
#define BOOKS_FREE	(64 * MIB)
#define SETS		5	/* sets in which a lone page takes a page of bits each */
#define TABLES		2	/* pages of page tables for a lone page */
#define STEP		(16 * MIB)	/* reservations grow in such steps */

static const char *const names[] = {
	[BUDGET_MIRROR] = "memory", [BUDGET_IMAGES] = "CRIU's images",
	[BUDGET_BOOKS] = "lists of pages",
};

void budget_init(struct budget *budget, struct places *places, struct place *place)
{
	*budget = (struct budget){ .places = places, .place = place };
	pthread_mutex_init(&budget->lock, NULL);
}

/* Return: most bytes that @part may use. Pages that cannot be lazy go from the mirror to images. */
static uint64_t limit(const struct budget *budget, enum budget_part part)
{
	const uint64_t *announced = budget->announced;

	switch (part) {
	case BUDGET_MIRROR:
		return announced[BUDGET_MIRROR] + SLACK;
	case BUDGET_IMAGES:
		return announced[BUDGET_IMAGES] + announced[BUDGET_MIRROR] + SLACK;
	default:
		return (SETS + TABLES) * announced[BUDGET_MIRROR] + BOOKS_FREE;
	}
}

static uint64_t sum_used(const struct budget *budget)
{
	uint64_t sum = 0;

	for (int part = 0; part < BUDGET_PARTS; part++)
		sum += budget->used[part];
	return sum;
}

/* While the helper writes an image anew, two further copies of its bytes exist. */
static uint64_t rewriting(const struct budget *budget)
{
	uint64_t images = budget->announced[BUDGET_IMAGES];

	return 2 * (images < IMAGE_BYTES_MAX ? images : IMAGE_BYTES_MAX);
}

static uint64_t needed(const struct budget *budget)
{
	uint64_t sum = rewriting(budget);

	for (int part = 0; part < BUDGET_PARTS; part++)
		sum += budget->used[part] > budget->announced[part] ? budget->used[part] :
		       budget->announced[part];
	return (sum + STEP - 1) / STEP * STEP;
}

/* Check the sum of all reservations. MemAvailable lacks the part of them that is used already. */
static int check_total(const struct places *places, uint64_t more, struct error *err)
{
	uint64_t reserved = 0, used = 0, available = proc_mem_available(), pending;

	for (size_t i = 0; i < PLACES_MAX; i++) {
		reserved += atomic_load(&places->place[i].reserved);
		used += atomic_load(&places->place[i].used);
	}
	if (places->max_bytes && reserved > places->max_bytes)
		return error_set(err, CODE_NOT_READY, "try later, or raise --max-memory there",
				 "%lu MiB more are needed, and all migrations together would have %lu of %lu MiB",
				 more / MIB, reserved / MIB, places->max_bytes / MIB);
	pending = reserved > used ? reserved - used : 0;
	/* 0: MemAvailable is not known */
	if (!available || pending + MEMORY_RESERVE <= available)
		return 0;
	return error_set(err, CODE_NOT_READY, "free some memory there",
			 "%lu MiB more are needed, and %lu MiB of memory are available there, of which %lu are promised",
			 more / MIB, available / MIB, (pending - (more < pending ? more : pending)) / MIB);
}

/* When @want would fit without the other migrations, the accepting process may end an idle one. */
static void complain(struct places *places, uint64_t want)
{
	uint64_t available = proc_mem_available();

	if (want + MEMORY_RESERVE <= available && (!places->max_bytes || want <= places->max_bytes))
		atomic_store(&places->memory_short, true);
}

/* Lock held. */
static int reserve(struct budget *budget, struct error *err)
{
	uint64_t want = needed(budget), had = budget->reserved;

	if (!budget->place || want == had)
		return 0;
	/* publish, then check: of two reservations at once both may fail, but not both succeed */
	atomic_store(&budget->place->reserved, want);
	if (want > had && check_total(budget->places, want - had, err)) {
		atomic_store(&budget->place->reserved, had);
		complain(budget->places, want);
		return -1;
	}
	budget->reserved = want;
	return 0;
}

/* Lock held. */
static void publish(struct budget *budget)
{
	if (budget->place)
		atomic_store(&budget->place->used, sum_used(budget));
}

static int too_much(const struct budget *budget, enum budget_part part, uint64_t bytes,
		    struct error *err)
{
	return error_set(err, CODE_PEER, NULL,
			 "the source sends more than it announced: %s would take %lu KiB, %lu were announced",
			 names[part], bytes / 1024, limit(budget, part) / 1024);
}

int budget_announce(struct budget *budget, enum budget_part part, uint64_t bytes,
		    struct error *err)
{
	uint64_t old;
	int ret;

	if (!budget)
		return 0;
	if (bytes >= 1UL << 47)
		return error_set(err, CODE_PEER, NULL, "the source announced %lu MiB", bytes / MIB);
	pthread_mutex_lock(&budget->lock);
	old = budget->announced[part];
	if (bytes > old)
		budget->announced[part] = bytes;
	ret = reserve(budget, err);
	if (ret)
		budget->announced[part] = old;
	pthread_mutex_unlock(&budget->lock);
	return ret;
}

int budget_take(struct budget *budget, enum budget_part part, uint64_t bytes, struct error *err)
{
	int ret;

	if (!budget || !bytes)
		return 0;
	pthread_mutex_lock(&budget->lock);
	budget->used[part] += bytes;
	if (budget->settled)
		ret = 0;
	else
		ret = budget->used[part] > limit(budget, part) ?
		      too_much(budget, part, budget->used[part], err) : reserve(budget, err);
	if (ret)
		budget->used[part] -= bytes;
	publish(budget);
	pthread_mutex_unlock(&budget->lock);
	return ret;
}

void budget_give(struct budget *budget, enum budget_part part, uint64_t bytes)
{
	if (!budget)
		return;
	pthread_mutex_lock(&budget->lock);
	budget->used[part] -= bytes < budget->used[part] ? bytes : budget->used[part];
	publish(budget);
	pthread_mutex_unlock(&budget->lock);
}

int budget_list(struct budget *budget, uint64_t bytes, struct error *err)
{
	uint64_t listed;
	int ret = 0;

	if (!budget)
		return 0;
	pthread_mutex_lock(&budget->lock);
	listed = budget->listed + bytes;
	if (listed > limit(budget, BUDGET_MIRROR))
		ret = too_much(budget, BUDGET_MIRROR, listed, err);
	else
		budget->listed = listed;
	pthread_mutex_unlock(&budget->lock);
	return ret;
}

void budget_unlist(struct budget *budget, uint64_t bytes)
{
	if (!budget)
		return;
	pthread_mutex_lock(&budget->lock);
	budget->listed -= bytes;
	pthread_mutex_unlock(&budget->lock);
}

uint64_t budget_listed(struct budget *budget)
{
	uint64_t listed;

	if (!budget)
		return UINT64_MAX;
	pthread_mutex_lock(&budget->lock);
	listed = budget->listed;
	pthread_mutex_unlock(&budget->lock);
	return listed;
}

void budget_settle(struct budget *budget)
{
	if (!budget)
		return;
	pthread_mutex_lock(&budget->lock);
	budget->settled = true;
	pthread_mutex_unlock(&budget->lock);
}

void budget_drop_images(struct budget *budget)
{
	if (!budget)
		return;
	pthread_mutex_lock(&budget->lock);
	budget->announced[BUDGET_IMAGES] = budget->used[BUDGET_IMAGES] = 0;
	reserve(budget, &(struct error){ 0 });
	publish(budget);
	pthread_mutex_unlock(&budget->lock);
}

void budget_installed(struct budget *budget, uint64_t bytes)
{
	uint64_t *announced;

	if (!budget)
		return;
	pthread_mutex_lock(&budget->lock);
	announced = &budget->announced[BUDGET_MIRROR];
	*announced -= bytes < *announced ? bytes : *announced;
	/* the reservation shrinks, which cannot fail */
	reserve(budget, &(struct error){ 0 });
	pthread_mutex_unlock(&budget->lock);
}
