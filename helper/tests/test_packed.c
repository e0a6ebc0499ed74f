// SPDX-License-Identifier: GPL-2.0
/* Compressed frames: what comes out is what went in, and what is no such frame is refused. */
#define _GNU_SOURCE
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>
#include <cmocka.h>
#include "base/page.h"
#include "tests/conn_fd.h"
#include "wire/packed.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define PAGES	200
#define GUARD	0xa5

/** struct bench - @out: room for the pages of a frame, and a page behind them that stays as it is */
struct bench {
	int pair[2];
	struct packer packer;
	struct unpacker unpacker;
	struct frame frame;
	uint8_t data[PAGES * PAGE_BYTES], out[PACKED_BYTES + PAGE_BYTES];
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int bytes = 4 << 20;

	*state = bench;
	bench->unpacker.codecs = CODEC_ALL;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, bench->pair) ||
	    setsockopt(bench->pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) ||
	    packer_init(&bench->packer, &bench->err))
		return -1;
	for (size_t i = 0; i < sizeof(bench->data); i++)
		bench->data[i] = i % 7 * (i / PAGE_BYTES);
	memset(bench->out, GUARD, sizeof(bench->out));
	return unpacker_init(&bench->unpacker, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	packer_destroy(&bench->packer);
	unpacker_destroy(&bench->unpacker);
	frame_free(&bench->frame);
	close(bench->pair[0]);
	close(bench->pair[1]);
	free(bench);
	return 0;
}

static void noise(uint8_t *to, size_t bytes)
{
	uint64_t state = 88172645463325252ull;

	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		to[i] = state;
	}
}

static void send_runs(struct bench *bench, const struct splice_vm_run *runs, uint32_t nr)
{
	assert_int_equal(packer_send(&bench->packer, CONN(bench->pair[0]), 7, runs, nr, bench->data, &bench->err), 0);
}

/* Return: as unpacker_expand() */
static int expand(struct bench *bench)
{
	int ret;

	assert_int_equal(frame_recv(CONN(bench->pair[1]), 1000, &bench->frame, &bench->err), 1);
	assert_int_equal(bench->frame.kind, FRAME_PACKED);
	ret = unpacker_recv(&bench->unpacker, CONN(bench->pair[1]), &bench->frame, &bench->err) ||
	      unpacker_expand(&bench->unpacker, &bench->frame, bench->out, &bench->err) ? -1 : 0;
	for (size_t i = bench->frame.nr_pages * PAGE_BYTES; i < sizeof(bench->out); i++)
		assert_int_equal(bench->out[i], GUARD);
	return ret;
}

static void refused(struct bench *bench)
{
	assert_int_equal(expand(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

/* Of some frames all pages come, in order, to where they belong. */
static void round_trip(struct bench *bench, enum codec codec)
{
	const struct splice_vm_run runs[] = {
		{ .addr = AT(3), .nr_pages = 1 }, { .addr = AT(5), .nr_pages = 150 }, { .addr = AT(1000), .nr_pages = 2 },
	};
	uint64_t pages = 0;

	bench->packer.codec = codec;
	send_runs(bench, runs, 3);
	shutdown(bench->pair[0], SHUT_WR);
	while (pages < 153) {
		size_t bytes;

		assert_int_equal(expand(bench), 0);
		assert_int_equal(bench->unpacker.head.codec, codec);
		assert_int_equal(bench->frame.runs[0].addr, pages ? AT(4 + pages) : AT(3));
		bytes = bench->frame.nr_pages * PAGE_BYTES;
		assert_memory_equal(bench->out, bench->data + pages * PAGE_BYTES, bytes);
		pages += bench->frame.nr_pages;
		memset(bench->out, GUARD, sizeof(bench->out));
	}
	assert_int_equal(pages, 153);
	assert_int_equal(bench->frame.runs[bench->frame.nr_runs - 1].addr, AT(1000));
	assert_int_equal(frame_recv(CONN(bench->pair[1]), 1000, &bench->frame, &bench->err), 0);
	assert_int_equal(bench->packer.raw[codec], 153 * PAGE_BYTES);
	assert_int_equal(bench->packer.saved, bench->packer.raw[codec] - bench->packer.packed[codec]);
	assert_true(bench->packer.saved > 100 * PAGE_BYTES);
}

static void zstd_comes_out(void **state)
{
	round_trip(*state, CODEC_ZSTD);
}

static void lz4_comes_out(void **state)
{
	round_trip(*state, CODEC_LZ4);
}

/* Each as it is: 64 pages in a frame. */
static void what_does_not_shrink_goes_plain(void **state)
{
	const struct splice_vm_run run = { .addr = AT(0), .nr_pages = 70 };
	struct bench *bench = *state;

	noise(bench->data, sizeof(bench->data));
	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++) {
		bench->packer.codec = codec;
		send_runs(bench, &run, 1);
		for (uint32_t want = 64, done = 0; done < 70; want = 6, done += bench->frame.nr_pages) {
			assert_int_equal(frame_recv(CONN(bench->pair[1]), 1000, &bench->frame, &bench->err), 1);
			assert_int_equal(bench->frame.kind, FRAME_PAGES);
			assert_int_equal(bench->frame.nr_pages, want);
			assert_int_equal(conn_read(CONN(bench->pair[1]), bench->out, want * PAGE_BYTES, 1000,
						   &bench->err), 0);
			assert_memory_equal(bench->out, bench->data + done * PAGE_BYTES, want * PAGE_BYTES);
		}
	}
	assert_int_equal(bench->packer.saved, 0);
}

static void nothing_is_compressed_unless_asked(void **state)
{
	const struct splice_vm_run run = { .addr = AT(0), .nr_pages = 2 };
	struct bench *bench = *state;

	send_runs(bench, &run, 1);
	assert_int_equal(frame_recv(CONN(bench->pair[1]), 1000, &bench->frame, &bench->err), 1);
	assert_int_equal(bench->frame.kind, FRAME_PAGES);
}

/** struct made - a frame that the test makes */
struct made {
	uint32_t nr_pages, codec, bytes;
	uint64_t digest;
	uint8_t packed[3 * PACKED_BYTES];
};

static void send_made(struct bench *bench, const struct made *made)
{
	const struct splice_vm_batch head = {
		.magic = htole32(FRAME_PACKED), .nr_runs = htole32(1), .nr_pages = htole32(made->nr_pages),
	};
	const struct splice_vm_run run = { .addr = htole64(AT(0)), .nr_pages = htole32(made->nr_pages) };
	const struct packed_head packed = {
		.codec = htole32(made->codec), .bytes = htole32(made->bytes), .digest = htole64(made->digest),
	};
	const struct conn *conn = CONN(bench->pair[0]);

	assert_int_equal(conn_write(conn, &head, sizeof(head), 0, &bench->err), 0);
	assert_int_equal(conn_write(conn, &run, sizeof(run), 0, &bench->err), 0);
	assert_int_equal(conn_write(conn, &packed, sizeof(packed), 0, &bench->err), 0);
	if (made->bytes <= sizeof(made->packed))
		assert_int_equal(conn_write(conn, made->packed, made->bytes, 0, &bench->err), 0);
	shutdown(bench->pair[0], SHUT_WR);
}

/* Ten pages, as this end would send them. */
static void make(struct bench *bench, enum codec codec, struct made *made)
{
	*made = (struct made){
		.nr_pages = 10, .codec = codec, .digest = XXH3_64bits(bench->data, 10 * PAGE_BYTES),
	};
	made->bytes = codec_pack(&bench->packer.out, codec, bench->data, 10 * PAGE_BYTES, made->packed,
				 sizeof(made->packed));
	assert_true(made->bytes && made->bytes < 9 * PAGE_BYTES);
}

static struct made made;

static void what_was_made_is_good(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	send_made(bench, &made);
	assert_int_equal(expand(bench), 0);
	assert_memory_equal(bench->out, bench->data, 10 * PAGE_BYTES);
}

static void a_codec_that_was_not_agreed_on(void **state)
{
	struct bench *bench = *state;

	bench->unpacker.codecs = CODEC_BIT(CODEC_LZ4);
	make(bench, CODEC_ZSTD, &made);
	send_made(bench, &made);
	refused(bench);
}

static void a_codec_that_there_is_not(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	made.codec = 33;
	send_made(bench, &made);
	refused(bench);
}

static void nothing_was_agreed_on(void **state)
{
	struct bench *bench = *state;

	bench->unpacker.codecs = 0;
	make(bench, CODEC_ZSTD, &made);
	send_made(bench, &made);
	refused(bench);
}

static void more_bytes_than_the_pages_have(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	made.bytes = 10 * PAGE_BYTES;
	send_made(bench, &made);
	refused(bench);
}

static void no_bytes(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_LZ4, &made);
	made.bytes = 0;
	send_made(bench, &made);
	refused(bench);
}

/* Said to be eleven, nine: neither more nor less than what was said is taken. */
static void pages_that_are_not_there(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	made.nr_pages = 11;
	send_made(bench, &made);
	refused(bench);
}

static void more_pages_than_were_said(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_LZ4, &made);
	made.nr_pages = 9;
	send_made(bench, &made);
	refused(bench);
}

static void bits_that_changed(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_LZ4, &made);
	made.packed[made.bytes / 2] ^= 1;
	send_made(bench, &made);
	refused(bench);
}

static void another_digest(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	made.digest ^= 1UL << 40;
	send_made(bench, &made);
	refused(bench);
}

static void bytes_behind_the_frame(void **state)
{
	struct bench *bench = *state;

	make(bench, CODEC_ZSTD, &made);
	/* a frame to skip */
	memcpy(made.packed + made.bytes, "\x50\x2a\x4d\x18\x04\0\0\0skip", 12);
	made.bytes += 12;
	send_made(bench, &made);
	refused(bench);
}

/* Its length is said nowhere but in our head. */
static void a_frame_of_zstd_without_length(void **state)
{
	struct bench *bench = *state;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	make(bench, CODEC_ZSTD, &made);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
	made.bytes = ZSTD_compress2(zstd, made.packed, sizeof(made.packed), bench->data, 10 * PAGE_BYTES);
	ZSTD_freeCCtx(zstd);
	send_made(bench, &made);
	refused(bench);
}

static void a_stream_that_ends(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_batch head = {
		.magic = htole32(FRAME_PACKED), .nr_runs = htole32(1), .nr_pages = htole32(4),
	};
	const struct splice_vm_run run = { .addr = htole64(AT(0)), .nr_pages = htole32(4) };

	assert_int_equal(conn_write(CONN(bench->pair[0]), &head, sizeof(head), 0, &bench->err), 0);
	assert_int_equal(conn_write(CONN(bench->pair[0]), &run, sizeof(run), 0, &bench->err), 0);
	shutdown(bench->pair[0], SHUT_WR);
	assert_int_equal(expand(bench), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

static void too_many(struct bench *bench, uint32_t nr_runs, uint32_t nr_pages)
{
	const struct splice_vm_batch head = {
		.magic = htole32(FRAME_PACKED), .nr_runs = htole32(nr_runs), .nr_pages = htole32(nr_pages),
	};

	assert_int_equal(conn_write(CONN(bench->pair[0]), &head, sizeof(head), 0, &bench->err), 0);
	assert_int_equal(frame_recv(CONN(bench->pair[1]), 1000, &bench->frame, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

static void too_many_pages(void **state)
{
	too_many(*state, 1, FRAME_PACKED_PAGES + 1);
}

static void too_many_runs(void **state)
{
	too_many(*state, FRAME_PACKED_PAGES + 1, FRAME_PACKED_PAGES);
}

static void no_runs(void **state)
{
	too_many(*state, 0, 0);
}

static void names_and_messages(void **state)
{
	Migrate__Compression list[CODECS_SAID + 2] = { 0, MIGRATE__COMPRESSION__COMPRESSION_LZ4, 77, -1 };

	assert_int_equal(codecs_take(list, 4), CODEC_BIT(CODEC_LZ4));
	assert_int_equal(codecs_say(CODEC_ALL, list), 2);
	assert_int_equal(codecs_take(list, 2), CODEC_ALL);
	assert_int_equal(codecs_say(0, list), 0);
	assert_int_equal(codec_find("zstd"), CODEC_ZSTD);
	assert_int_equal(codec_find("none"), CODEC_NONE);
	assert_string_equal(codec_name(CODEC_LZ4), "lz4");
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(zstd_comes_out), BENCH_TEST(lz4_comes_out),
		BENCH_TEST(what_does_not_shrink_goes_plain), BENCH_TEST(nothing_is_compressed_unless_asked),
		BENCH_TEST(what_was_made_is_good), BENCH_TEST(a_codec_that_was_not_agreed_on),
		BENCH_TEST(a_codec_that_there_is_not), BENCH_TEST(nothing_was_agreed_on),
		BENCH_TEST(more_bytes_than_the_pages_have), BENCH_TEST(no_bytes),
		BENCH_TEST(pages_that_are_not_there), BENCH_TEST(more_pages_than_were_said),
		BENCH_TEST(bits_that_changed), BENCH_TEST(another_digest), BENCH_TEST(bytes_behind_the_frame),
		BENCH_TEST(a_frame_of_zstd_without_length), BENCH_TEST(a_stream_that_ends),
		BENCH_TEST(too_many_pages), BENCH_TEST(too_many_runs), BENCH_TEST(no_runs),
		cmocka_unit_test(names_and_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
