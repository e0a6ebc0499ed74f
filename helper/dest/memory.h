/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of one migration at the destination: the mirror, the restored
 * address spaces, and what must still come from the source.
 *
 * Locking. memory.lock covers everything here unless it says otherwise. The rule
 * that keeps memory right: *events of a userfaultfd are read and acted upon under the
 * same hold of the lock as "is it in todo" and UFFDIO_COPY*. A task that drops or moves
 * memory waits until its event is read, and no longer: were the lock let go between
 * read() and the bookkeeping, another thread could install a page that was dropped.
 *
 * Order: store.map_lock, memory.lock, then the leaf locks of keeper and incoming.
 * Nothing is sent or received over the network under memory.lock.
 */
#ifndef MIGRATE_DEST_MEMORY_H
#define MIGRATE_DEST_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <linux/splice_vm.h>
#include "dest/places.h"
#include "dest/space.h"
#include "dest/store.h"

/** struct memory_counts - what Done reports; pages unless said otherwise */
struct memory_counts {
	uint64_t image;		/* populated, but carried by CRIU's images */
	uint64_t from_store;	/* installed from the mirror */
	uint64_t late;		/* came after FINAL and had to wait in the mirror */
	uint64_t push;		/* came over memory after FINAL */
	uint64_t fault;		/* came over urgent */
	uint64_t zero;		/* read as zeros at the source, or first touched here */
	uint64_t faults;	/* faults, not pages */
};

/**
 * struct memory_hooks - what a new userfaultfd needs from the rest of the helper
 * @hold: have the keeper hold a duplicate; -1 on failure
 * @release: the keeper may close it
 * @watch: add to (or, @on false, take from) what the fault thread waits for
 */
struct memory_hooks {
	int (*hold)(void *ctx, int uffd, int *handle, struct error *err);
	void (*release)(void *ctx, int handle);
	int (*watch)(void *ctx, struct space *space, bool on, struct error *err);
	void *ctx;
};

/**
 * struct memory - see the top of this file
 * @changed: broadcast when pages came, todo shrank, a space went, or @failed was set
 * @urgent: threads that wait for the lock with a fault in hand. Atomic
 * @place: told of pages that were lacking; may be NULL
 * @populated: the source's final list
 * @wanted: source addresses that still have to come from the source
 * @asked: those of @wanted that were requested over urgent
 * @spaces: never removed before memory_destroy(), so that pointers stay good
 * @requests: to be sent over urgent by the fault thread
 * @kick: eventfd that wakes the fault thread: @requests or @retry
 * @retry: faults that wait may go through now
 * @work: pages may be installed from the mirror
 * @stop: nothing is to be installed from the mirror any longer
 * @failed: the migration is being given up: nobody waits any longer
 */
struct memory {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_int urgent;
	struct store store;
	struct place *place;
	struct page_set populated, wanted, asked;
	struct space **spaces;
	size_t nr_spaces;
	struct run *requests;
	size_t nr_requests, cap_requests;
	int kick;
	bool retry, work, stop, final, sealed, pushed, failed;
	struct memory_counts counts;
	struct memory_hooks hooks;
};

int memory_init(struct memory *mem, const struct memory_hooks *hooks, struct error *err);
void memory_destroy(struct memory *mem);

static inline void memory_lock(struct memory *mem)
{
	pthread_mutex_lock(&mem->lock);
}

/* For whom a task waits: who populates lets it go first. */
static inline void memory_lock_urgent(struct memory *mem)
{
	atomic_fetch_add(&mem->urgent, 1);
	pthread_mutex_lock(&mem->lock);
	atomic_fetch_sub(&mem->urgent, 1);
}

static inline void memory_unlock(struct memory *mem)
{
	pthread_mutex_unlock(&mem->lock);
}

/* Pre-copy: take the lock themselves. */

/** memory_announce() - new list of the source's mappings; what lies outside is dropped */
int memory_announce(struct memory *mem, const struct store_range *ranges, size_t nr,
		    struct error *err);
/** memory_add() - the content of these runs is in its place in the mirror */
int memory_add(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs,
	       struct error *err);
/** memory_drop() - forget these runs */
void memory_drop(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs);
/** memory_populate() - part of the final list of all there is */
int memory_populate(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs,
		    struct error *err);
/** memory_final() - all lists are there: how much of it we have, and lack */
void memory_final(struct memory *mem, uint64_t *have, uint64_t *lack);

/* From FINAL on: take the lock themselves. */

/** memory_fetch() - copy pages out of the mirror; what lacks is requested and waited for */
int memory_fetch(struct memory *mem, uint64_t addr, uint64_t nr_pages, void *buf,
		 struct error *err);
/** memory_seal() - from here on only pages of @lazy matter; the first space is made */
int memory_seal(struct memory *mem, const struct page_set *lazy, struct error *err);
/** memory_attach() - the first space's userfaultfd; owned from here on */
int memory_attach(struct memory *mem, int uffd, struct error *err);
/** memory_ready() - CRIU has ended: the first space's mappings are what they are */
void memory_ready(struct memory *mem);
/**
 * memory_take() - pages that came from the source: installed at once where possible
 * @data: their content, or NULL for zeros
 * @urgent: they came over the urgent connection
 */
int memory_take(struct memory *mem, uint64_t origin, uint64_t nr_pages, const void *data,
		bool urgent, struct error *err);
/** memory_pushed() - the source has nothing left to push: request what still lacks */
void memory_pushed(struct memory *mem, struct error *err);
/** memory_fail() - nobody shall wait for anything any longer */
void memory_fail(struct memory *mem);
/** memory_close_uffds() - all done: let the kernel unregister everything */
void memory_close_uffds(struct memory *mem);

/* With the lock held. */

/** memory_done() - no space lacks anything, or the tasks have gone */
bool memory_done(const struct memory *mem);
/** memory_release() - give back what no space needs any longer; @origin is a source address */
void memory_release(struct memory *mem, uint64_t origin, uint64_t nr_pages);
/** memory_awaits_fork() - FORK of a child that lacks any of these may be to come: see epoch.h */
bool memory_awaits_fork(const struct memory *mem, uint64_t origin, uint64_t nr_pages);
/** memory_from_store() - install up to @nr_pages at @addr from the mirror; @addr is in both */
enum install memory_from_store(struct memory *mem, struct space *space, uint64_t addr,
			       uint64_t nr_pages);
/** memory_request() - pages of @wanted; what was asked for before is not again */
int memory_request(struct memory *mem, uint64_t origin, uint64_t nr_pages, struct error *err);
void memory_kick(struct memory *mem);
/** memory_space_add() - owned from here on */
int memory_space_add(struct memory *mem, struct space *space, struct error *err);
/** memory_close_uffd() - the kernel unregisters what @space lacks no longer; the keeper lets go */
void memory_close_uffd(struct memory *mem, struct space *space);
/** memory_bury() - the process of @space is gone: nobody needs its pages */
void memory_bury(struct memory *mem, struct space *space);

/** memory_events() - read what @space's userfaultfd has to say and act on it (events.c) */
int memory_events(struct memory *mem, struct space *space, struct error *err);
/** memory_retry() - look at faults again that had to wait (events.c) */
int memory_retry(struct memory *mem, struct error *err);

/** enum step - what memory_step() did */
enum step { STEP_DID, STEP_IDLE, STEP_AGAIN, STEP_FAILED };
/** memory_step() - install one run from the mirror (populate.c) */
enum step memory_step(struct memory *mem, struct error *err);

#endif
