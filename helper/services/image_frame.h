/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames between image-proxy and image-cache, on one connection.
 *
 * Each end sends HELLO first. The proxy numbers its dumps, and the images that are open at a time:
 *
 *   DUMP d id; OPEN i (d, name); DATA i bytes, any number of times; END i size; SEAL d images
 *
 * The cache answers SEAL with SEALED: all images are whole. Then the proxy sends COMMIT, when CRIU's dump has
 * succeeded, or ABORT. The cache serves no image before COMMIT. It answers REFUSED at any time for a dump of which it
 * takes no more; it throws away what still comes for this dump, until ABORT. An image's number is free again after END,
 * a dump's after COMMIT or ABORT, which frees those of its images.
 */
#ifndef MIGRATE_SERVICES_IMAGE_FRAME_H
#define MIGRATE_SERVICES_IMAGE_FRAME_H

#include <stdint.h>
#include "base/error.h"
#include "wire/conn.h"

#define IMAGE_LINK_VERSION	1
#define IMAGE_NAME_BYTES	255U		/* of an image or of a dump's id */
#define IMAGE_DATA_MAX		(4U << 20)	/* bytes of one DATA */
#define IMAGE_DUMPS_MAX		64U		/* dumps at a time */
#define IMAGES_OPEN_MAX		4096U		/* images at a time that have no END yet */

/* "PREFIX LEVEL/NAME" are the images of a chain (services/image_chain.h); CRIU's own names have no such byte */
#define IMAGE_CHAIN_PREFIX	"\n"

#define IMAGE_GREET_MS		10000		/* for the greeting of the other end */

/** enum image_frame_kind - the values are on the wire */
enum image_frame_kind {
	IMAGE_HELLO = 1,	/* number: the version */
	IMAGE_DUMP,
	IMAGE_OPEN,
	IMAGE_DATA,
	IMAGE_END,
	IMAGE_SEAL,
	IMAGE_COMMIT,
	IMAGE_ABORT,
	IMAGE_SEALED,		/* from the cache */
	IMAGE_REFUSED,		/* from the cache, with a reason */
};

/**
 * struct image_frame - a frame that came
 * @number: of a dump; for OPEN, DATA and END of an image
 * @bytes: for DATA: what is still on the connection
 * @dump: OPEN: the dump of the image
 * @size: END: bytes of the image; SEAL: images of the dump
 * @text: DUMP: id; OPEN: name; REFUSED: reason. Not printable as it is
 */
struct image_frame {
	enum image_frame_kind kind;
	uint32_t number, bytes, dump;
	uint64_t size;
	char text[IMAGE_NAME_BYTES + 1];
};

/** image_frame_recv() - receive and check a frame. Return: 1; 0 at the end of the connection; -1 with @err */
int image_frame_recv(const struct conn *conn, struct image_frame *frame, struct error *err);

/** image_frame_send() - send a frame; of DATA only its head, with MSG_MORE */
int image_frame_send(const struct conn *conn, const struct image_frame *frame, struct error *err);

/**
 * image_frame_greet() - exchange HELLO
 * @timeout_ms: for all of the other end's
 * Return: 0, or -1 with @err, as for another version of the other end
 */
int image_frame_greet(const struct conn *conn, int timeout_ms, struct error *err);

#endif
