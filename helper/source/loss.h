/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a move can lose. One table has a row for each kind of loss, and Documentation/losses.rst
 * explains the rows. The code that finds a loss adds an item to the losses of the migration, with a
 * detail: which descriptor, which file.
 */
#ifndef MIGRATE_SOURCE_LOSS_H
#define MIGRATE_SOURCE_LOSS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/** enum loss - the rows of the table, in its order */
enum loss {
	/* found by refuse_pipes.c */
	LOSS_PIPE,
	/* found by refuse_files.c */
	LOSS_WRITABLE_FILE, LOSS_APPENDED_FILE, LOSS_SHARED_MAPPING, LOSS_GHOST_XATTRS,
	/* found by refuse_shared.c */
	LOSS_SHARED_MEMORY,
	/* found by refuse_ipc.c */
	LOSS_IPC_NAMESPACE,
	/* found by refuse_unix.c */
	LOSS_RECONNECTED,
	/* found by refuse_terminals.c */
	LOSS_TERMINAL, LOSS_SESSION,
	/* found by refuse_sockets.c */
	LOSS_TCP_CONNECTIONS, LOSS_IN_FLIGHT, LOSS_DATAGRAMS,
	/* found by orphans.c */
	LOSS_UNACKNOWLEDGED,
	/* found by refuse_sockopts.c */
	LOSS_SOCKET_OPTIONS,
	/* found by refuse_cgroup.c */
	LOSS_CGROUP, LOSS_CGROUP_LIMIT,
	/* found by refuse_attributes.c */
	LOSS_SHADOW_STACK, LOSS_ACCOUNTING, LOSS_PRCTL, LOSS_AUDIT_SESSION, LOSS_CORE_SCHEDULING,
	LOSS_MEMORY_POLICY, LOSS_WIPEONFORK, LOSS_MAPPING_NAMES, LOSS_LOCK_FUTURE,
	LOSS_FILE_EVENTS,
	/* found by refuse_supervisor.c */
	LOSS_SUPERVISOR,
	/* found by repair.c in CRIU's images */
	LOSS_TIMERFD, LOSS_INTERRUPTED_CALL, LOSS_TIMEOUT,
	/* found by attributes.c, told by the destination */
	LOSS_ALARM, LOSS_NO_NEW_PRIVS, LOSS_AMBIENT_CAPABILITIES, LOSS_SPECULATION,
	LOSS_IO_FLUSHER, LOSS_SCHEDULING, LOSS_CPUS, LOSS_TIMER_SLACK, LOSS_IO_PRIORITY,
	LOSS_COREDUMP_FILTER, LOSS_AUTOGROUP,
	LOSS_NR
};

/**
 * enum loss_fate - what becomes of a thing that CRIU loses
 * @LOSS_REPAIRED: migrate-helper restores the thing, nothing is lost
 * @LOSS_REFUSED: the program is not moved, unless the user accepts the loss by name
 * @LOSS_ACCEPTED: the user accepted it
 * @LOSS_WARNED: the program is moved without it, and the result says so
 */
enum loss_fate { LOSS_REPAIRED, LOSS_REFUSED, LOSS_ACCEPTED, LOSS_WARNED };

#define LOSS_DETAIL_BYTES	224
#define LOSS_DETAILS_MAX	16	/* items of one row; further losses are only counted */

/** struct loss_item - one loss; @detail as "descriptor 1 leads to process 4711 (cat)" */
struct loss_item {
	enum loss loss;
	enum loss_fate fate;
	char detail[LOSS_DETAIL_BYTES];
};

/**
 * struct losses - the losses of one migration; only the main thread uses them. Zeroed is empty
 * @accepted: bit 1 << enum loss: the user said --accept-loss
 * @count: losses of each row, those without an item included
 * @quiet: losses_add() prints nothing: the losses are those of one process, which may have ended
 * @no_memory: an item could not be stored: losses_refused() then fails
 * @old: items that losses_renew() took out; losses_add() prints these no second time
 */
struct losses {
	uint64_t accepted;
	struct loss_item *items, *old;
	size_t nr, nr_old, count[LOSS_NR];
	bool quiet, no_memory;
};

/** loss_name() - name of the row for --accept-loss and for the result, as "writable-file" */
const char *loss_name(enum loss loss);
/** loss_text() - one line for people, without a final stop */
const char *loss_text(enum loss loss);
/** loss_default_fate() - fate of the row when the user accepts nothing */
enum loss_fate loss_default_fate(enum loss loss);
/** loss_fate_name() - name of the fate in JSON, as "warned" */
const char *loss_fate_name(enum loss_fate fate);

/** loss_find() - the row with this name that can be accepted; LOSS_NR when there is none */
enum loss loss_find(const char *name);
/** loss_names() - the names that --accept-loss takes, parted by ", "; static */
const char *loss_names(void);

/**
 * losses_add() - add one loss with the fate of its row
 *
 * A warning is printed at once, and once more in the result. A second loss with the same detail is
 * not added.
 */
void losses_add(struct losses *losses, enum loss loss, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** losses_add_as() - losses_add() with another fate, as LOSS_WARNED when a repair did not work */
void losses_add_as(struct losses *losses, enum loss loss, enum loss_fate fate,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** losses_take() - add the losses of one process, which @own has, to those of the program */
void losses_take(struct losses *losses, const struct losses *own);

/**
 * losses_renew() - forget the items of some rows before the caller looks for them again
 * @rows: bits 1 << enum loss
 */
void losses_renew(struct losses *losses, uint64_t rows);

/**
 * losses_refusal() - the error for one item whose fate is LOSS_REFUSED
 * @err: filled: what is lost, and what to do, with the name that --accept-loss takes
 */
void losses_refusal(const struct loss_item *item, struct error *err);
/** losses_forbid() - one or more of the losses forbid the move */
bool losses_forbid(const struct losses *losses);
/** losses_digest() - of those that forbid the move, the same for the same in the same order */
uint64_t losses_digest(const struct losses *losses);
/**
 * losses_refused() - fail when a loss forbids the move
 *
 * Return: 0, or -1 with CODE_REFUSED: @err has the first such loss, and the number of the others
 */
int losses_refused(const struct losses *losses, struct error *err);

/** losses_json() - array of {name, fate, detail} for the result */
json_t *losses_json(const struct losses *losses);
/** losses_print() - print a line for each loss of the result; repaired things have no line */
void losses_print(const struct losses *losses);
void losses_free(struct losses *losses);

#endif
