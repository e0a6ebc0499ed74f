/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's image files: a magic, then records of a u32 length and a protobuf message. */
#ifndef MIGRATE_CRIU_IMAGE_H
#define MIGRATE_CRIU_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "base/error.h"

#define IMAGE_COMMON		0x54564319
#define IMAGE_SERVICE		0x55105940
#define IMAGE_CORE		0x55053847
#define IMAGE_FDINFO		0x56213732
#define IMAGE_FILES		0x56303138
#define IMAGE_FS		0x51403912
#define IMAGE_GHOST_FILE	0x52583605
#define IMAGE_IDS		0x54432030
#define IMAGE_IPCNS_SHM		0x46283044
#define IMAGE_INVENTORY		0x58313116
#define IMAGE_MEMFD		0x48453499
#define IMAGE_MM		0x57492820
#define IMAGE_MNTS		0x55563928
#define IMAGE_PAGEMAP		0x56084025
#define IMAGE_PSTREE		0x50273030
#define IMAGE_REMAP_FPATH	0x59133954
#define IMAGE_SK_QUEUES		0x56264026
#define IMAGE_STATS		0x57093306
#define IMAGE_TTY_INFO		0x59453036
#define IMAGE_USERNS		0x55474906

#define IMAGE_NAME_MAX		64

/*
 * Longest record, in bytes; the unpacked message takes many times as much. The record of 65,000
 * mappings, the most that Linux allows by default, has some 6 MiB.
 */
#define IMAGE_RECORD_MAX	(16U << 20)

/* Largest image that the helper reads and writes anew; the images with pages are not among them. */
#define IMAGE_BYTES_MAX		(256UL << 20)

/**
 * struct image - one image file, mapped or read; no other program writes to its directory
 * @at: offset of the next record
 * @mapped: it is a large one
 */
struct image {
	uint8_t *data;
	size_t bytes;
	size_t at;
	bool mapped;
	char name[IMAGE_NAME_MAX];
};

/** image_open_fd() - image_open() of the open file @fd, which stays the caller's */
int image_open_fd(struct image *image, int fd, const char *name, uint32_t magic,
		  struct error *err);

/** image_open() - map or read file @name in @dir_fd and check its @magic */
int image_open(struct image *image, int dir_fd, const char *name, uint32_t magic,
	       struct error *err);

/**
 * image_next() - unpack the next record
 * @type: descriptor of the message
 * @msg: free with protobuf_c_message_free_unpacked()
 * Return: 1 with a record, 0 at the end, -1 with @err when the file is damaged
 */
int image_next(struct image *image, const ProtobufCMessageDescriptor *type,
	       ProtobufCMessage **msg, struct error *err);

/**
 * image_skip_others() - go to the next record that may have @value as its field 1, an integer
 *
 * A record is skipped, and not unpacked, when its bytes begin with this field and another value.
 */
void image_skip_others(struct image *image, uint32_t value);

/** image_read_one() - unpack the first record of a file; a file without records is damaged */
int image_read_one(int dir_fd, const char *name, uint32_t magic,
		   const ProtobufCMessageDescriptor *type, ProtobufCMessage **msg,
		   struct error *err);

void image_close(struct image *image);

/** struct image_out - an image in the making; image_out_store() reports a lack of memory */
struct image_out {
	uint8_t *data;
	size_t bytes;
	size_t room;
	bool failed;
};

void image_out_init(struct image_out *out, uint32_t magic);
void image_out_add(struct image_out *out, const ProtobufCMessage *msg);

/** image_out_store() - write the image as @name; rename() replaces an older file */
int image_out_store(struct image_out *out, int dir_fd, const char *name, struct error *err);
void image_out_free(struct image_out *out);

/**
 * typedef image_edit_fn - add one record, changed or not, to @out
 *
 * @msg: the record, which the function may change; NULL after the last one, for further records
 * Return: true when the function has changed, left out or added a record
 */
typedef bool (*image_edit_fn)(void *ctx, const ProtobufCMessage *msg, struct image_out *out);

/** image_edit() - call @fn with each record of an image, and write a changed image anew */
int image_edit(int dir_fd, const char *name, uint32_t magic,
	       const ProtobufCMessageDescriptor *type, image_edit_fn fn, void *ctx,
	       struct error *err);
/** image_edit_each() - image_edit() of each image whose name begins with @prefix; the first failure ends it */
int image_edit_each(int dir_fd, const char *prefix, uint32_t magic,
		    const ProtobufCMessageDescriptor *type, image_edit_fn fn, void *ctx,
		    struct error *err);

#endif
