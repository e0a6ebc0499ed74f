// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "base/thread.h"
#include "pages/sets.h"
#include "source/shm_compare.h"

#define TAKE_PAGES	1024UL	/* 4 MiB: what a thread takes at once */

/* Return: false when there is nothing left */
static bool take(struct shm_compare *compare, struct source_shm **shm, struct run *run)
{
	const struct source_shms *shms = compare->shms;
	bool found = false;

	pthread_mutex_lock(&compare->lock);
	for (; !found && compare->at < shms->nr; compare->at += !found) {
		*shm = shms->list[compare->at];
		found = (*shm)->same && page_set_next(&(*shm)->sent, compare->addr, USER_END,
						      TAKE_PAGES, run);
		compare->addr = found ? run_end(run) : 0;
	}
	pthread_mutex_unlock(&compare->lock);
	return found;
}

/* Where the object has become shorter, as after a failure, there is nothing that would be the same. */
static void compare_piece(struct source_shm *shm, const struct run *piece, uint8_t *buf)
{
	uint64_t first = piece->addr / PAGE_BYTES;
	size_t done = 0;

	if (io_pread_all(shm->fd, buf, piece->nr_pages * PAGE_BYTES, piece->addr, &done))
		return;
	for (uint64_t i = 0; i < done / PAGE_BYTES; i++)
		shm->same[first + i] = XXH128_isEqual(XXH3_128bits(buf + i * PAGE_BYTES, PAGE_BYTES),
						      shm->digests[first + i]);
}

static void compare_run(struct source_shm *shm, struct run run, uint8_t *buf)
{
	while (run.nr_pages) {
		struct run piece = run;

		if (piece.nr_pages > SHM_PIECE_PAGES)
			piece.nr_pages = SHM_PIECE_PAGES;
		compare_piece(shm, &piece, buf);
		run.addr = run_end(&piece);
		run.nr_pages -= piece.nr_pages;
	}
}

static bool must_end(struct shm_compare *compare)
{
	return atomic_load(&compare->stop) || mailbox_failed(compare->box, &(struct error){ 0 });
}

static void *compare_body(void *arg)
{
	struct shm_compare *compare = arg;
	uint8_t *buf = malloc(SHM_PIECE_PAGES * PAGE_BYTES);
	struct source_shm *shm;
	struct run run;

	while (buf && !must_end(compare) && take(compare, &shm, &run))
		compare_run(shm, run, buf);
	free(buf);
	return NULL;
}

/* Where there is no memory for it nothing is known of the object. */
static uint64_t prepare(struct source_shms *shms)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < shms->nr; i++) {
		struct source_shm *shm = shms->list[i];

		if (shm->gone || !shm->sent.nr)
			continue;
		shm->same = calloc(shm->room, sizeof(*shm->same));
		shm->same_room = shm->same ? shm->room : 0;
		pages += shm->sent.nr;
	}
	return pages;
}

static unsigned int choose_threads(uint64_t pages)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t most = pages / TAKE_PAGES + 1;

	if (most > COMPARE_THREADS_MAX)
		most = COMPARE_THREADS_MAX;
	if (cpus >= 1 && (uint64_t)cpus < most)
		most = cpus;
	return most;
}

static void forget(struct source_shms *shms)
{
	for (size_t i = 0; i < shms->nr; i++) {
		free(shms->list[i]->same);
		shms->list[i]->same = NULL;
		shms->list[i]->same_room = 0;
	}
}

void shm_compare_start(struct shm_compare *compare, struct source_shms *shms, struct mailbox *box)
{
	uint64_t pages;
	unsigned int nr;

	if (compare->begun)
		return;
	compare->begun = true;
	compare->shms = shms;
	compare->box = box;
	pthread_mutex_init(&compare->lock, NULL);
	forget(shms);
	pages = prepare(shms);
	nr = pages ? choose_threads(pages) : 0;
	/* with fewer threads it takes longer, no more */
	while (compare->nr_threads < nr &&
	       !thread_start(&compare->threads[compare->nr_threads], compare_body, compare,
			     &(struct error){ 0 }))
		compare->nr_threads++;
}

void shm_compare_stop(struct shm_compare *compare)
{
	atomic_store(&compare->stop, true);
}

void shm_compare_end(struct shm_compare *compare)
{
	if (!compare->begun)
		return;
	for (unsigned int i = 0; i < compare->nr_threads; i++)
		pthread_join(compare->threads[i], NULL);
	pthread_mutex_destroy(&compare->lock);
	if (atomic_load(&compare->stop))
		forget(compare->shms);
	compare->nr_threads = 0;
	compare->begun = false;
}

bool shm_is_known(const struct source_shm *shm, uint64_t addr)
{
	uint64_t page = addr / PAGE_BYTES;

	return page < shm->same_room && shm->same[page] && page_set_has(&shm->sent, addr);
}

void shms_forget_rseq(struct source_shms *shms, const struct criu_task *task)
{
	for (size_t i = 0; i < task->nr_rseq; i++) {
		const struct criu_area *area = &task->rseq[i];
		const struct vma *first = maps_find(&task->vmas, area->addr);
		const struct vma *last = maps_find(&task->vmas, area->addr + area->bytes - 1);

		if (!first || first->shared || !last || last->shared)
			forget(shms);
	}
}
