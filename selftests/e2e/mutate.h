/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A source that breaks the rules of the protocol. A *script* has the steps of a valid source:
 * messages to send and to wait for. A *twist* makes a value in a message wrong when the script is
 * written. A *mutation* damages the steps of a finished script.
 */
#ifndef E2E_MUTATE_H
#define E2E_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/conn.h"
#include "wire/control.h"

/* Connections of a session; EXTRA and what follows are no part of a valid one. */
enum { CONTROL, MEMORY, URGENT, CONNS };

enum step_kind {
	STEP_SEND,	/* @data on @conn, which is opened when it is not open */
	STEP_WAIT,	/* for the message @what on control */
	STEP_CLOSE,	/* @conn; @what: with a reset */
	STEP_CALL,	/* @what more connections that begin with @data */
	STEP_OTHER,	/* another source's session, as it should be, must not suffer */
	STEP_TRICKLE,	/* as STEP_SEND, in two halves with a pause between them */
};

struct step {
	enum step_kind kind;
	int conn;
	uint32_t what;
	uint8_t *data;
	size_t size;
};

struct script {
	struct step *steps;
	size_t nr, cap;
};

struct step *script_add(struct script *script, enum step_kind kind, int conn, uint32_t what,
			const void *data, size_t size);
void script_free(struct script *script);

/** struct file - one of CRIU's images, as it is sent */
struct file {
	char name[64];
	uint8_t *data;
	size_t size;
};

/** struct span - mapped pages, or pages with a content */
struct span {
	uint64_t addr, nr_pages;
	const uint8_t *data;
};

/** struct program - what a dump left: images, mappings, and pages that are not in the images */
struct program {
	int pid;
	struct file *files;
	size_t nr_files;
	struct span *vmas, *spans;
	size_t nr_vmas, nr_spans;
	uint8_t *pages;
	uint64_t nr_pages;
};

/** program_read() - ends the process when the images are not there */
void program_read(struct program *program, const char *dir);

enum twist {
	TWIST_NONE, TWIST_CPU_FLAG, TWIST_CPU_FLAGS, TWIST_HOSTNAME, TWIST_VMA_ORDER,
	TWIST_VMA_HUGE, TWIST_VMA_MANY, TWIST_PID, TWIST_RSS, TWIST_ROUND, TWIST_POPULATED,
	TWIST_OUTSIDE, TWIST_MM, TWIST_IMAGE_NAME, TWIST_IMAGE_OFFSET, TWIST_IMAGE_BYTES,
	TWIST_IMAGE_MORE, TWIST_FILES, TWIST_DIGESTS, TWIST_WRONG_WAY, TWIST_COMMIT, TWIST_VERIFY,
	TWIST_ABORT, TWIST_FILE_PATH, TWIST_FROZEN_S, TWIST_ANNOUNCE, TWIST_ATTRIBUTES,
	TWIST_THREADS, TWIST_PROCESS, TWIST_OBJECTS, TWIST_FILE_USE, TWIST_SERVERS, TWIST_ADDRESSES,
	TWIST_DESCRIPTORS, TWIST_STREAMS, TWIST_NEEDS, TWIST_LOST, TWIST_OPTIONS, TWISTS
};

#define OBJECT	1	/* the name of the program's address space */

/* Fields of a message; they point to memory that the next call uses again. */
void mutate_objects(Migrate__Setup *setup, enum twist twist);
void mutate_files(Migrate__Setup *setup, enum twist twist);
void mutate_sockets(Migrate__Setup *setup, enum twist twist);
void mutate_threads(Migrate__Process *process, enum twist twist);
void mutate_streams(Migrate__Process *process, enum twist twist);

/** random_below() - of the session's own sequence of random numbers */
uint32_t random_below(uint32_t limit);
void random_seed(uint64_t seed);

/** script_write() - a whole session, valid but for @twist */
void script_write(struct script *script, const struct program *program, enum twist twist);

/** script_mutate() - damage it in one way; returns what was done */
const char *script_mutate(struct script *script);

/**
 * struct outcome - @commit: COMMIT was sent; @missed: the first message that did not come, or 0;
 *	@connected, @other_served: false ends the test
 */
struct outcome {
	bool commit, connected, other_served;
	uint32_t missed;
};

/**
 * script_play() - one session
 * @other: plays STEP_OTHER in a child, whose exit status is what it returns
 * @patience_ms: how long a message is waited for
 */
struct outcome script_play(const struct script *script, const char *where,
			   int (*other)(const char *where), int patience_ms);

#endif
