/* SPDX-License-Identifier: GPL-2.0 */
/* What was measured in one migration, and how it is told at the end. */
#ifndef MIGRATE_SOURCE_FIGURES_H
#define MIGRATE_SOURCE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "session/counts.h"
#include "session/fault_times.h"
#include "session/frozen_time.h"
#include "session/lost.h"
#include "source/compress.h"
#include "source/loss.h"
#include "source/syncfs.h"
#include "wire/conn.h"

/**
 * struct round_figures - one round of pre-copy
 * @pages: that were sent, @copied of them by copying
 * @zero: that were told to be zero
 * @inherited: that were told to be the parent process's
 * @put_off: that were dirty, and not sent, since the program writes them in each round
 * @ns: from the first page until the destination had all
 * @synced_bytes: of files that a manager moved meanwhile, in @synced_ns
 * @dirty_pages: found by the scan that followed, written within @dirty_ns
 * @dirty_bytes: that are left by then, shared memory too; at @bandwidth bytes a second they take what is in
 *	@total_ns beside dump and restore
 * @stands_ns: how long the program would stand if it were stopped now
 * @throttled: percentage of its CPU time that the program did not get in the round
 * @limit_ns: the rounds end when @total_ns is less
 */
struct round_figures {
	uint32_t round, throttled;
	uint64_t pages, copied, zero, inherited, put_off, bytes, ns, synced_bytes, synced_ns;
	uint64_t dirty_pages, dirty_ns, dirty_bytes, bandwidth, total_ns, stands_ns, limit_ns;
};

/**
 * struct shared_figures - shared memory, each object once, in pages
 * @objects: so many moved
 * @rounds_pages: sent while the program ran; @frozen_pages: while it stood, since they had changed
 * @compared_pages: compared by digest while it stood; @early_pages: of these, while CRIU dumped
 */
struct shared_figures {
	uint64_t objects, rounds_pages, frozen_pages, compared_pages, early_pages;
};

/**
 * struct figures - all of it
 * @frozen_ns: from the request to CRIU until the program ran again, there or here
 * @total_ns: of the whole migration; figures_say_result() sets it when nobody did
 * @held_ns: the part of @frozen_ns until CRIU held the program
 * @frozen_send_ns: the part of @frozen_ns for sending pages in mode precopy
 * @shared: shared memory
 * @sent_pages: pages that travelled in frames, each as often as it travelled
 * @image_bytes: of CRIU's images that travelled
 * @counts: of the destination, when it is done; @fault_times too
 * @lost: memory that was lost here after COMMIT, as the destination says
 * @losses: of the migration, for the result
 * @sync: files that a manager moved
 * @compress: of memory
 * @stream_bytes: of pages, of each of @nr_streams memory streams; none before they are connected
 * @tls: who encrypts: "none", "kernel" or "program"; NULL while nothing was connected
 * @backend: its name, NULL when there was none yet; @backend_why, @tracker, @tracker_why: see
 *	struct backend
 * @processes: of the program when it was stopped
 * @dest_pid: of its root as the destination sees it
 * @frozen: the parts of @frozen_ns; those of the destination come with Ready
 * @rounds_stood_ns: how long the program stood in rounds
 * @started_ns: CLOCK_MONOTONIC when the helper began
 */
struct figures {
	struct round_figures *rounds;
	size_t nr_rounds;
	uint64_t started_ns, total_ns, frozen_ns, held_ns, frozen_send_ns, restore_ns;
	uint64_t frozen_pages, frozen_bytes, left_pages;
	struct shared_figures shared;
	uint64_t sent_pages, image_bytes;
	struct counts counts;
	struct fault_times fault_times;
	struct lost lost;
	uint64_t verified_pages;
	bool moved;
	uint32_t processes, dest_pid;
	const struct losses *losses;
	const struct syncfs *sync;
	const struct compress *compress;
	uint64_t stream_bytes[STREAMS_MAX];
	unsigned int nr_streams;
	const char *tls;
	const char *backend, *tracker, *tracker_why;
	char backend_why[200];
	uint64_t rounds_stood_ns;
	struct frozen_time frozen;
};

int figures_add_round(struct figures *figures, const struct round_figures *round,
		      struct error *err);
/** figures_dirty_rate() - MiB that the program wrote in a second */
double figures_dirty_rate(const struct round_figures *round);
/** figures_say_round() - its line and its event, when all of it is known */
void figures_say_round(const struct round_figures *round);

/**
 * figures_thawed() - the program goes on here: note for how long it stood
 * @frozen_at_ns: clock_now_ns() when it was stopped; 0: it never was
 */
void figures_thawed(struct figures *figures, uint64_t frozen_at_ns);

/**
 * figures_say_result() - the last record: the table for people, an event "result"
 * @file: gets the same object, or NULL
 */
void figures_say_result(struct figures *figures, const struct error *err, int pid,
			const char *comm, const char *mode, const char *file);
void figures_free(struct figures *figures);

#endif
