/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a move can lose. Each thing has a row in one table; Documentation/losses.rst explains
 * the rows. Whoever finds that a program has such a thing adds it to the losses of the
 * migration, with a detail: which descriptor, which file.
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
	/* found by refuse_unix.c */
	LOSS_RECONNECTED,
	/* found by refuse_terminals.c */
	LOSS_TERMINAL, LOSS_SESSION,
	/* found by refuse_sockets.c */
	LOSS_TCP_CONNECTIONS, LOSS_IN_FLIGHT, LOSS_DATAGRAMS,
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
#define LOSS_DETAILS_MAX	16	/* of one row; more are counted */

/** struct loss_item - one thing of a program, as "descriptor 1 leads to process 4711 (cat)" */
struct loss_item {
	enum loss loss;
	enum loss_fate fate;
	char detail[LOSS_DETAIL_BYTES];
};

/**
 * struct losses - all that one migration loses; of the main thread. Zeroed is empty
 * @accepted: bit 1 << enum loss: the user said --accept-loss
 * @count: things found of each row, in @items or not
 * @no_memory: an item could not be kept: losses_refused() then fails
 * @old: items that were taken out to be found again: these are not said a second time
 */
struct losses {
	uint64_t accepted;
	struct loss_item *items, *old;
	size_t nr, nr_old, count[LOSS_NR];
	bool no_memory;
};

/** loss_name() - of --accept-loss and of the result, as "writable-file" */
const char *loss_name(enum loss loss);
/** loss_text() - one line for people, without a final stop */
const char *loss_text(enum loss loss);
/** loss_default_fate() - what becomes of it when the user accepts nothing */
enum loss_fate loss_default_fate(enum loss loss);
/** loss_fate_name() - for JSON, as "warned" */
const char *loss_fate_name(enum loss_fate fate);

/** loss_find() - the row with this name that can be accepted; LOSS_NR when there is none */
enum loss loss_find(const char *name);
/** loss_names() - the names that --accept-loss takes, parted by ", "; static */
const char *loss_names(void);

/**
 * losses_add() - the program has this; what becomes of it is the row's fate
 *
 * A warning is said at once, and once more in the result. An item that @losses has already is not added
 * again.
 */
void losses_add(struct losses *losses, enum loss loss, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** losses_add_as() - the same with another fate, as LOSS_WARNED when a repair did not work */
void losses_add_as(struct losses *losses, enum loss loss, enum loss_fate fate,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * losses_renew() - forget the items of some rows: they are about to be looked for again
 * @rows: bits 1 << enum loss
 */
void losses_renew(struct losses *losses, uint64_t rows);

/**
 * losses_refusal() - the words for one item whose fate is LOSS_REFUSED
 * @err: filled: what is lost, and what to do, with the name that --accept-loss takes
 */
void losses_refusal(const struct loss_item *item, struct error *err);
/**
 * losses_refused() - does any loss forbid the move?
 *
 * Return: 0 when none does, else -1 with @err set (CODE_REFUSED): of several the first, and how
 * many
 */
int losses_refused(const struct losses *losses, struct error *err);

/** losses_json() - array of {name, fate, detail} for the result */
json_t *losses_json(const struct losses *losses);
/** losses_print() - the lines of the text result: what was lost; repairs are not worth one */
void losses_print(const struct losses *losses);
void losses_free(struct losses *losses);

#endif
