/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of a migration: what a frame names by its id. An object is an address space, or shared
 * memory: a struct mm whose mirror is the memory itself (dest/shm.h).
 */
#ifndef MIGRATE_DEST_OBJECTS_H
#define MIGRATE_DEST_OBJECTS_H

#include <pthread.h>
#include "dest/mm.h"
#include "session/counts.h"
#include "session/fault_times.h"
#include "session/lost.h"

#define OBJECTS_BUCKETS	1024

/**
 * struct objects - table from object id to mm
 * @lock: a leaf lock, for all lists. An mm stays until objects_destroy(), so that pointers stay good
 * @first, @last: those that are not gone, in their order. The last one may be gone: a thread that
 *	walks goes on from there to what comes later
 * @by_id: all, by id; @by_pid: address spaces that are not gone
 * @nr: those that are not gone; @ever: all
 * @rounded, @listed: all up to these have ended the round, or have had their FINAL; NULL: none. Of the
 *	thread of the first memory stream
 * @fault_times: of all
 * @hooks, @budget, @place: what each mm is made with
 * @tmpfs: roots of the @nr_tmpfs tmpfs of the program's own, as Setup lists them
 */
struct objects {
	pthread_mutex_t lock;
	struct mm *first, *last;
	struct mm *by_id[OBJECTS_BUCKETS], *by_pid[OBJECTS_BUCKETS];
	size_t nr, ever;
	struct mm *rounded, *listed;
	struct latency fault_times;
	struct mm_hooks hooks;
	struct budget *budget;
	struct place *place;
	const int *tmpfs;
	size_t nr_tmpfs;
};

void objects_init(struct objects *objects, const struct mm_hooks *hooks, struct budget *budget,
		  struct place *place);
void objects_destroy(struct objects *objects);
/** objects_remove_files() - nothing of the program is here: files of /dev/shm, which a keeper that lives removes */
void objects_remove_files(struct objects *objects);

/**
 * objects_add_mm() - make an empty mm
 * @id: as frames name it
 * @pid: of the task at the source
 * Return: NULL with CODE_PEER when @id or @pid is in the table already, with CODE_REFUSED when there are
 * too many, or when the mm cannot be made
 */
struct mm *objects_add_mm(struct objects *objects, uint32_t id, pid_t pid, struct error *err);

/** objects_add_shm() - the same for shared memory, with the name and the flags of memfd_create() */
struct mm *objects_add_shm(struct objects *objects, uint32_t id, const char *name,
			   unsigned int flags, struct error *err);
/** objects_add_file() - the same for a file of /dev/shm */
struct mm *objects_add_file(struct objects *objects, uint32_t id, const char *path,
			    struct error *err);

/** objects_add_tmpfs() - the same for a file of tmpfs @nr, as of Object.tmpfs */
struct mm *objects_add_tmpfs(struct objects *objects, uint32_t id, uint32_t nr, struct error *err);

/** objects_end() - mm_end() of the mm with @id; -1 with CODE_PEER when there is none, or it is gone */
int objects_end(struct objects *objects, uint32_t id, struct error *err);

/** objects_mm() - the mm with @id; NULL when there is none */
struct mm *objects_mm(struct objects *objects, uint32_t id);
/** objects_mm_of() - the mm of task @pid of the source; NULL when there is none, or it is gone */
struct mm *objects_mm_of(struct objects *objects, pid_t pid);
/** objects_next() - the mm behind @mm (NULL: the first) that is not gone; NULL behind the last one */
struct mm *objects_next(struct objects *objects, const struct mm *mm);
/** objects_nr() - number of mms that are not gone */
size_t objects_nr(struct objects *objects);

/* All mms that are not gone at once. */

/** objects_are_held() - the keeper confirms that it holds all mirrors and userfaultfds; -1 on failure */
int objects_are_held(struct objects *objects, struct error *err);

/** objects_final() - mm_final(); sums of pages that are here, and that lack */
void objects_final(struct objects *objects, uint64_t *have, uint64_t *lack);
/**
 * objects_end_round() - is this the end of @round for all mms?
 *
 * This and objects_are_listed() are for the thread of the first memory stream.
 */
bool objects_end_round(struct objects *objects, uint32_t round);
/** objects_begin_round() - mm_end_round(), before anything of the next round is taken in */
void objects_begin_round(struct objects *objects);
/** objects_are_listed() - FINAL came of all mms */
bool objects_are_listed(struct objects *objects);
/** objects_end_seal() - mm_seal() was called for each: budget_settle(). -1 with CODE_PEER when it was not */
int objects_end_seal(struct objects *objects, struct error *err);
/** objects_ready() - CRIU has ended: spaces_ready() */
void objects_ready(struct objects *objects);
/** objects_fail() - nobody shall wait for pages any longer */
void objects_fail(struct objects *objects);
/**
 * objects_wait() - for the moment in which no mm lacks anything
 * @timeout_ms: -1: until then, or until objects_fail()
 * Return: true when nothing lacks
 */
bool objects_wait(struct objects *objects, int timeout_ms);
/** objects_wanted() - pages that are still at the source */
uint64_t objects_wanted(struct objects *objects);
/** objects_counts() - sums of all mms */
void objects_counts(struct objects *objects, struct counts *counts);
/** objects_fault_times() - of all mms that are not gone; @all of the others too */
void objects_fault_times(struct objects *objects, struct fault_times *times);
/** objects_next_to_end() - a process that must be killed for what it lost, each once; 0: none */
pid_t objects_next_to_end(struct objects *objects);
/** objects_lost() - fill @lost with all that lost memory */
void objects_lost(struct objects *objects, struct lost *lost);
/** objects_lack_lost() - a process lives that waits for ever where it touches a page that is lost */
bool objects_lack_lost(struct objects *objects);
/** objects_orphans() - pages that had no place in a restored program that lives */
uint64_t objects_orphans(struct objects *objects);
/** objects_close_uffds() - all done: the kernel unregisters everything */
void objects_close_uffds(struct objects *objects);

#endif
