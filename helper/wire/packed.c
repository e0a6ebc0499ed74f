// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/clock.h"
#include "base/page.h"
#include "wire/packed.h"

/* What shrinks by less is not worth the other end's time. */
#define WORTH(bytes)	((bytes) - (bytes) / 16)
#define HEAD_ROOM	(sizeof(struct splice_vm_batch) + \
			 FRAME_PACKED_PAGES * sizeof(struct splice_vm_run) + sizeof(struct packed_head))

_Static_assert(PACKED_BYTES <= CODEC_MAX_BYTES, "a frame is one call of the codec");
_Static_assert(sizeof(struct packed_head) == 16, "16 bytes on the wire");

int packer_init(struct packer *packer, struct error *err)
{
	packer->buf = malloc(HEAD_ROOM + PACKED_BYTES);
	if (!packer->buf)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to compress pages");
	return codec_out_init(&packer->out, err);
}

void packer_destroy(struct packer *packer)
{
	codec_out_destroy(&packer->out);
	free(packer->buf);
	packer->buf = NULL;
}

/** struct piece - the pages of one frame */
struct piece {
	struct splice_vm_run runs[FRAME_PACKED_PAGES];
	uint32_t nr_runs, nr_pages;
	const uint8_t *data;
};

/* The next pages, of which *@skip of the first run have gone. */
static void take_piece(struct piece *piece, const struct splice_vm_run **runs, uint32_t *nr_runs,
		       uint32_t *skip)
{
	piece->nr_runs = piece->nr_pages = 0;
	while (*nr_runs && piece->nr_pages < FRAME_PACKED_PAGES) {
		uint32_t room = FRAME_PACKED_PAGES - piece->nr_pages;
		uint32_t left = (*runs)->nr_pages - *skip, nr = left < room ? left : room;

		piece->runs[piece->nr_runs++] = (struct splice_vm_run){
			.addr = (*runs)->addr + *skip * PAGE_BYTES, .nr_pages = nr,
		};
		piece->nr_pages += nr;
		*skip += nr;
		if (nr == left) {
			*skip = 0;
			(*runs)++;
			(*nr_runs)--;
		}
	}
}

/* In front of the compressed bytes, so that all of the frame is one write. */
static const uint8_t *put_heads(struct packer *packer, uint64_t cookie, const struct piece *piece,
				size_t bytes, size_t *all)
{
	struct splice_vm_batch batch = {
		.magic = htole32(FRAME_PACKED), .nr_runs = htole32(piece->nr_runs),
		.nr_pages = htole32(piece->nr_pages), .cookie = htole64(cookie),
	};
	struct packed_head head = {
		.codec = htole32(packer->codec), .bytes = htole32(bytes),
		.digest = htole64(XXH3_64bits(piece->data, piece->nr_pages * PAGE_BYTES)),
	};
	size_t runs = piece->nr_runs * sizeof(*piece->runs);
	uint8_t *start, *at;

	at = start = packer->buf + HEAD_ROOM - sizeof(batch) - runs - sizeof(head);
	at = mempcpy(at, &batch, sizeof(batch));
	for (uint32_t i = 0; i < piece->nr_runs; i++) {
		struct splice_vm_run run = {
			.addr = htole64(piece->runs[i].addr), .nr_pages = htole32(piece->runs[i].nr_pages),
		};

		at = mempcpy(at, &run, sizeof(run));
	}
	memcpy(at, &head, sizeof(head));
	*all = sizeof(batch) + runs + sizeof(head) + bytes;
	return start;
}

static int send_piece(struct packer *packer, const struct conn *conn, uint64_t cookie,
		      const struct piece *piece, struct error *err)
{
	size_t raw = piece->nr_pages * PAGE_BYTES, bytes, all;
	uint64_t before = clock_now_ns();
	const uint8_t *frame;

	bytes = codec_pack(&packer->out, packer->codec, piece->data, raw, packer->buf + HEAD_ROOM, WORTH(raw));
	packer->ns[packer->codec] += clock_now_ns() - before;
	packer->raw[packer->codec] += raw;
	packer->packed[packer->codec] += bytes ?: raw;
	if (!bytes)
		return frame_send_pages(conn, cookie, piece->runs, piece->nr_runs, piece->data, err);
	packer->saved += raw - bytes;
	frame = put_heads(packer, cookie, piece, bytes, &all);
	return conn_write(conn, frame, all, 0, err);
}

int packer_send(struct packer *packer, const struct conn *conn, uint64_t cookie,
		const struct splice_vm_run *runs, uint32_t nr_runs, const void *data, struct error *err)
{
	struct piece piece = { .data = data };
	uint32_t skip = 0;

	if (!packer_is_on(packer))
		return frame_send_pages(conn, cookie, runs, nr_runs, data, err);
	while (nr_runs) {
		take_piece(&piece, &runs, &nr_runs, &skip);
		if (send_piece(packer, conn, cookie, &piece, err))
			return -1;
		piece.data += piece.nr_pages * PAGE_BYTES;
	}
	return 0;
}

int unpacker_init(struct unpacker *unpacker, struct error *err)
{
	if (!unpacker->codecs)
		return 0;
	unpacker->buf = malloc(PACKED_BYTES);
	if (!unpacker->buf)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to expand pages");
	return codec_in_init(&unpacker->in, err);
}

void unpacker_destroy(struct unpacker *unpacker)
{
	codec_in_destroy(&unpacker->in);
	free(unpacker->buf);
	unpacker->buf = NULL;
}

static int bad_frame(struct error *err, const char *why)
{
	return error_set(err, CODE_PEER, NULL, "malformed frame: %s", why);
}

static bool is_agreed(const struct unpacker *unpacker, uint32_t codec)
{
	return codec && codec <= CODEC_LZ4 && unpacker->codecs & CODEC_BIT(codec);
}

int unpacker_recv(struct unpacker *unpacker, const struct conn *conn, const struct frame *frame,
		  struct error *err)
{
	struct packed_head *head = &unpacker->head;

	if (!unpacker->codecs)
		return bad_frame(err, "compressed pages, which were not agreed on");
	if (conn_read(conn, head, sizeof(*head), 0, err))
		return -1;
	head->codec = le32toh(head->codec);
	head->bytes = le32toh(head->bytes);
	head->digest = le64toh(head->digest);
	if (!is_agreed(unpacker, head->codec))
		return bad_frame(err, "a compression that was not agreed on");
	if (!head->bytes || head->bytes >= frame->nr_pages * PAGE_BYTES)
		return bad_frame(err, "length of compressed pages");
	return conn_read(conn, unpacker->buf, head->bytes, 0, err);
}

int unpacker_expand(const struct unpacker *unpacker, const struct frame *frame, void *to, struct error *err)
{
	const struct packed_head *head = &unpacker->head;
	size_t raw = frame->nr_pages * PAGE_BYTES;

	if (codec_unpack(&unpacker->in, head->codec, unpacker->buf, head->bytes, to, raw))
		return bad_frame(err, "compressed pages that do not expand to what was said");
	/* neither TLS nor TCP sees what a fault in either machine's compression makes of the pages */
	if (XXH3_64bits(to, raw) != head->digest)
		return bad_frame(err, "compressed pages that do not have their digest");
	return 0;
}
