/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control messages for the fuzz targets: the valid ones of either side, which come before the
 * messages of an input, and the messages of the helper's side in between.
 */
#ifndef MIGRATE_FUZZ_MESSAGES_H
#define MIGRATE_FUZZ_MESSAGES_H

#include "fuzz/common.h"
#include "wire/control.h"

#define MESSAGES_PID	77	/* of the program that is moved */

/**
 * struct messages_room - memory of one message
 *
 * A message is filled by its descriptor: each field that wire/control.proto has is there, also one that
 * is newer than this code.
 */
struct messages_room {
	_Alignas(16) uint8_t bytes[16384];
	size_t used;
};

/** messages_fill() - set all fields of @msg, those of messages inside too: numbers are 1, texts "x" */
void messages_fill(struct messages_room *room, ProtobufCMessage *msg);

/** struct messages_setup - a valid Setup, and what it points to */
struct messages_setup {
	struct messages_room room;
	Migrate__Vma vma[2], *vmas[2];
	char *flag;
	Migrate__Setup setup;
};

void messages_setup_fill(struct messages_setup *setup);

/** struct messages_go - a valid RestoreGo of one process with one thread */
struct messages_go {
	struct messages_room room;
	Migrate__Process *process;
	Migrate__ThreadAttributes *thread;
	Migrate__RestoreGo go;
};

void messages_go_fill(struct messages_go *go);

/** messages_with() - call @use with a valid message of this body */
void messages_with(Migrate__Control__BodyCase body,
		   void (*use)(void *ctx, const Migrate__Control *msg), void *ctx);

/**
 * messages_put_course() - the first @nr messages of the shortest valid course
 * @from: the side that sends them. More than there are: all
 */
void messages_put_course(struct fuzz_pipe *pipe, enum course_side from, unsigned int nr);

/**
 * messages_put_input() - all that is left of the input, and then the end of the stream
 * @raw: as it is; else chunks, a message each
 */
void messages_put_input(struct fuzz_pipe *pipe, struct fuzz_input *in, bool raw);

/** messages_send() - the helper's side sends a valid message, which must be legal now */
void messages_send(struct control *ctl, Migrate__Control__BodyCase body);

/** messages_assert_printable() - text of the other side that was made printable */
void messages_assert_printable(const char *text);

#endif
