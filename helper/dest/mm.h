/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One address space (mm) of the source at the destination: the mirror, the restored address
 * spaces, and the pages that must still come from the source.
 *
 * One lock, mm.lock, covers all of it. The rule that keeps memory right: *events of a userfaultfd
 * are read and acted upon under the same hold of the lock as "is the page in todo" and
 * UFFDIO_COPY*. A task that drops or moves memory waits until the event is read, and no longer:
 * were the lock let go between read() and the bookkeeping, another thread could install a page
 * that was dropped.
 *
 * The hooks are called under mm.lock and take leaf locks: the order stands in dest/migration.h.
 * Nothing is sent or received over the network under mm.lock.
 */
#ifndef MIGRATE_DEST_MM_H
#define MIGRATE_DEST_MM_H

#include <pthread.h>
#include <stdatomic.h>
#include <linux/splice_vm.h>
#include "dest/mirror.h"
#include "dest/places.h"
#include "pages/space_set.h"
#include "dest/wanted.h"

/** struct mm_counts - of one mm; objects_counts() sums them; pages unless said otherwise */
struct mm_counts {
	uint64_t image;		/* populated, but carried by CRIU's images */
	uint64_t from_mirror;	/* installed from the mirror */
	uint64_t late;		/* came after FINAL and had to wait in the mirror */
	uint64_t push;		/* came over memory after FINAL */
	uint64_t fault;		/* came over urgent */
	uint64_t lost;		/* neither end has them: dest/lost_pages.h */
	uint64_t zero;		/* read as zeros at the source; @spaces counts those first touched here */
	uint64_t fetch_ns;	/* how long images waited for pages of the source */
};

struct mm;

/**
 * struct mm_hooks - what an mm needs from the rest of the helper; called under mm.lock
 * @hold: give the keeper a duplicate; -1 on failure
 * @holds_all: have the keeper confirm that it holds all of them; -1 on failure
 * @release: the keeper may close the duplicate
 * @watch: add to (or, @on false, take from) what the fault thread waits for
 * @kick: wake the fault thread: @mm has requests, or @retry is set
 * @work: wake the thread that populates: @work is set
 */
struct mm_hooks {
	int (*hold)(void *ctx, int uffd, int *handle, struct error *err);
	int (*holds_all)(void *ctx, struct error *err);
	void (*release)(void *ctx, int handle);
	int (*watch)(void *ctx, struct space *space, bool on, struct error *err);
	void (*kick)(void *ctx, struct mm *mm);
	void (*work)(void *ctx);
	void *ctx;
};

/**
 * struct mm - see the top of this file
 * @id: how frames name the mm
 * @pid: the task at the source; 0: with @shm
 * @shm: no address space, but shared memory (dest/shm.h): addresses are offsets, and nothing is installed
 * @parent: whose pages COPY takes; NULL: nobody's
 * @changed: broadcast when pages came, todo shrank, a space went, or @failed was set
 * @urgent: threads that wait for the lock with a fault in hand. Atomic
 * @place: told of pages that were lacking; may be NULL
 * @populated: the source's final list
 * @wanted: pages that still have to come; the fault thread sends its requests
 * @lost: pages that neither end has, as long as a space lacks them. Made when the first one is lost
 * @spaces: the restored address spaces; none is removed before mm_destroy()
 * @work: pages may be installed from the mirror
 * @round_pages, @round_copies: pages that came, and that were copied, since the last ROUND
 * @round: the last round of which all frames came. The thread of the first memory stream alone uses
 *	@round and @listed
 * @listed: FINAL came
 * @pushed_over: bit N: PUSHED came over memory stream N; @pushed: over all
 * @mirror_handle: of the keeper's duplicate of the mirror
 * @gone: the source has the address space no longer: frames that are still on their way mean nothing,
 *	and @mirror, @populated and @wanted are closed
 * @end_said: ENDED came; before PUSHED over urgent it is carried out at PUSHED
 * @ended: the process was killed at the source before all of its memory had come
 * @killed: the process was killed here, for what it lost
 * @no_poison: the kernel has no UFFDIO_POISON, as far as is known
 * @failed: the migration is being given up: no thread waits any longer
 * @in_objects: its places in the lists of struct objects, under the lock of that
 * @kicked, @next_kicked: its place in the list of struct faults, under the lock of that
 */
struct mm {
	uint32_t id;
	pid_t pid;
	struct mm *parent;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_int urgent;
	struct mirror mirror;
	struct place *place;
	struct page_set populated;
	struct wanted wanted;
	struct page_set lost;
	struct space_set spaces;
	uint64_t round_pages, round_copies;
	uint32_t round, pushed_over;
	bool listed;
	int mirror_handle;
	bool work, final, sealed, pushed, failed, gone, shm;
	bool end_said, ended, killed, no_poison;
	struct mm_counts counts;
	struct mm_hooks hooks;
	struct {
		struct mm *prev, *next, *next_id, *next_pid;
		bool gone;
	} in_objects;
	struct mm *next_kicked;
	bool kicked;
};

int mm_init(struct mm *mm, const struct mm_hooks *hooks, struct error *err);
/** mm_init_shm() - of shared memory: the mirror is the memory itself; @flags of memfd_create() */
int mm_init_shm(struct mm *mm, const struct mm_hooks *hooks, const char *name, unsigned int flags,
		struct error *err);
/** mm_init_file() - the same of a file of /dev/shm: mirror_open_file() */
int mm_init_tmpfs(struct mm *mm, const struct mm_hooks *hooks, int dir_fd, struct error *err);
int mm_init_file(struct mm *mm, const struct mm_hooks *hooks, const char *path, struct error *err);
void mm_destroy(struct mm *mm);

static inline void mm_lock(struct mm *mm)
{
	pthread_mutex_lock(&mm->lock);
}

/* For a thread that answers a fault: the populating thread lets this thread go first. */
static inline void mm_lock_urgent(struct mm *mm)
{
	atomic_fetch_add(&mm->urgent, 1);
	pthread_mutex_lock(&mm->lock);
	atomic_fetch_sub(&mm->urgent, 1);
}

static inline void mm_unlock(struct mm *mm)
{
	pthread_mutex_unlock(&mm->lock);
}

/* Functions for pre-copy; they take mm.lock. */

/** mm_announce() - take a new list of mappings, and drop pages outside of it. Not after FINAL */
int mm_announce(struct mm *mm, const struct mirror_range *ranges, size_t nr,
		    struct error *err);
/**
 * mm_begin_receive() - @windows into which the pages of these runs may be received
 *
 * The caller holds no lock while it receives, so no thread waits for slow bytes. The windows stay
 * until mm_end_receive(). Return: 0; 1 when the mm is gone, and the pages mean nothing; -1 with
 * CODE_PEER when a run lies outside of the announced mappings
 */
int mm_begin_receive(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
		     struct mirror_windows **windows, struct error *err);
/** mm_end_receive() - the content of these runs is in its place; @nr_runs 0 after a failure */
int mm_end_receive(struct mm *mm, struct mirror_windows *windows, const struct splice_vm_run *runs,
		   uint32_t nr_runs, struct error *err);
/** mm_end_round() - each page may come once more */
void mm_end_round(struct mm *mm);
/** mm_is_final() - mm_final() was called */
bool mm_is_final(struct mm *mm);
/** mm_end() - the source has the address space no longer: give all back. Once, and not after FINAL */
int mm_end(struct mm *mm, struct error *err);
/** mm_is_gone() - mm_end() was called */
bool mm_is_gone(struct mm *mm);
/** mm_drop() - forget the pages of these runs, if the mm is not gone */
void mm_drop(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs);
/** mm_populate() - take a part of the source's final list of populated pages */
int mm_populate(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
		    struct error *err);
/** mm_final() - all lists have come; @have, @lack: populated pages that are here, and missing */
void mm_final(struct mm *mm, uint64_t *have, uint64_t *lack);

/* Functions from FINAL on; they take mm.lock. */

/** mm_seal() - make the first space; from now on only pages of @lazy matter */
int mm_seal(struct mm *mm, const struct page_set *lazy, struct error *err);
/** mm_fail() - the migration is given up: wake all waiting threads */
void mm_fail(struct mm *mm);
/** mm_close_uffds() - all pages are installed: close all userfaultfds */
void mm_close_uffds(struct mm *mm);

/* The caller holds mm.lock. */

/** mm_give_mirror() - the mirror is the program's memory: close it, and have the keeper close it */
void mm_give_mirror(struct mm *mm);
/** mm_release() - free pages of the mirror that no space needs; @origin is a source address */
void mm_release(struct mm *mm, uint64_t origin, uint64_t nr_pages);

/** mm_is_lost() - neither end has the page */
static inline bool mm_is_lost(const struct mm *mm, uint64_t origin)
{
	return mm->lost.nr && page_set_has(&mm->lost, origin);
}

static inline void mm_kick(struct mm *mm)
{
	mm->hooks.kick(mm->hooks.ctx, mm);
}

/** mm_request() - wanted_request(), and the fault thread sends the requests */
static inline int mm_request(struct mm *mm, uint64_t origin, uint64_t nr_pages,
			     struct error *err)
{
	int ret = wanted_request(&mm->wanted, origin, nr_pages, err);

	mm_kick(mm);
	return ret;
}

/** mm_set_work() - pages may be installed from the mirror */
static inline void mm_set_work(struct mm *mm)
{
	mm->work = true;
	mm->hooks.work(mm->hooks.ctx);
}

/** mm_close_uffd() - the kernel unregisters what @space lacks no longer; the keeper lets go */
void mm_close_uffd(struct mm *mm, struct space *space);

#endif
