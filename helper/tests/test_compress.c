// SPDX-License-Identifier: GPL-2.0
/* When memory is compressed, on links and by codecs whose speed the test decides. The linker replaces the clock. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "base/page.h"
#include "source/compress.h"

#define MIB	1048576.0

static uint64_t now_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	*now = (struct timespec){ .tv_sec = now_ns / 1000000000, .tv_nsec = now_ns % 1000000000 };
	return 0;
}

/** struct bench - @link, @speed: MiB a second; @ratio: of each codec */
struct bench {
	struct compress compress;
	struct conn conn;
	double link, speed[CODEC_LZ4 + 1], ratio[CODEC_LZ4 + 1];
	uint64_t bytes, compressed;
	struct error err;
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){
		.conn = CONN_NONE, .link = 12,
		.speed = { [CODEC_ZSTD] = 400, [CODEC_LZ4] = 700 },
		.ratio = { [CODEC_ZSTD] = 3, [CODEC_LZ4] = 2 },
	};
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	compress_destroy(&bench->compress);
	return 0;
}

static void agree(struct bench *bench, enum compress_ask ask, uint32_t codecs)
{
	bench->compress.ask = ask;
	assert_int_equal(compress_agree(&bench->compress, codecs & compress_offer(ask), &bench->conn, &bench->err), 0);
}

/* A piece, as the sender sends it: what the packer counts, and how long it all takes. */
static void piece(struct bench *bench, uint64_t pages)
{
	struct compress_mark mark = compress_begin(&bench->compress, bench->bytes);
	struct packer *packer = compress_packer(&bench->compress);
	uint64_t raw = pages * PAGE_BYTES, wire = raw;
	enum codec codec = packer->codec;
	double pack_s = 0, send_s;

	if (codec) {
		wire = raw / bench->ratio[codec];
		pack_s = raw / MIB / bench->speed[codec];
		packer->raw[codec] += raw;
		packer->packed[codec] += wire;
		packer->ns[codec] += pack_s * 1e9;
		packer->saved += raw - wire;
		bench->compressed += raw;
	}
	send_s = wire / MIB / bench->link;
	now_ns += 1e9 * (send_s > pack_s ? send_s : pack_s);
	bench->bytes += raw;
	assert_int_equal(compress_end(&bench->compress, &mark, bench->bytes), wire);
}

static void send_mib(struct bench *bench, uint64_t mib)
{
	for (uint64_t left = mib * 256; left;) {
		uint64_t pages = compress_pages(&bench->compress, left < 16384 ? left : 16384);

		piece(bench, pages);
		left -= pages;
	}
}

static void a_slow_link(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 256);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
	assert_in_range(bench->compress.link, 11.9 * MIB, 12.1 * MIB);
	assert_int_equal(bench->compress.changes, 1);
	/* of 256 MiB little went to find out */
	assert_in_range(bench->compressed, 235 << 20, 256 << 20);
	assert_non_null(strstr(bench->compress.why, "12.0 MiB/s"));
}

/* Each codec could send, but the link is faster than either. */
static void a_fast_link(void **state)
{
	struct bench *bench = *state;

	bench->link = 800;
	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 512);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
	assert_int_equal(bench->compress.changes, 0);
	assert_in_range(bench->compressed, 1 << 20, 4 << 20);
}

/* No sample is taken, so that no page is copied. */
static void a_link_beyond_all_codecs(void **state)
{
	struct bench *bench = *state;

	bench->link = 3000;
	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 512);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
	assert_int_equal(bench->compressed, 0);
}

static void memory_that_does_not_shrink(void **state)
{
	struct bench *bench = *state;

	bench->ratio[CODEC_ZSTD] = bench->ratio[CODEC_LZ4] = 1.01;
	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 128);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
}

static void the_faster_codec_of_both(void **state)
{
	struct bench *bench = *state;

	bench->link = 100;
	bench->speed[CODEC_ZSTD] = 120;
	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 128);
	assert_int_equal(bench->compress.codec, CODEC_LZ4);
}

static void the_codec_that_the_destination_has(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, CODEC_BIT(CODEC_LZ4));
	send_mib(bench, 64);
	assert_int_equal(bench->compress.codec, CODEC_LZ4);
}

static void an_earlier_version(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, 0);
	send_mib(bench, 64);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
	assert_int_equal(bench->compressed, 0);
	assert_non_null(strstr(bench->compress.why, "version"));
}

static void an_earlier_version_does_not_do(void **state)
{
	struct bench *bench = *state;

	bench->compress.ask = COMPRESS_LZ4;
	assert_int_equal(compress_agree(&bench->compress, 0, &bench->conn, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
}

static void what_was_asked_for(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(compress_offer(COMPRESS_ZSTD), CODEC_BIT(CODEC_ZSTD));
	bench->link = 3000;
	agree(bench, COMPRESS_ZSTD, CODEC_ALL);
	send_mib(bench, 32);
	compress_end_round(&bench->compress);
	send_mib(bench, 32);
	assert_int_equal(bench->compressed, 64 << 20);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
}

static void off(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(compress_offer(COMPRESS_OFF), 0);
	agree(bench, COMPRESS_OFF, CODEC_ALL);
	send_mib(bench, 32);
	compress_end_round(&bench->compress);
	assert_int_equal(bench->compressed, 0);
}

static void too_little_to_measure(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 1);
	assert_int_equal(bench->compressed, 0);
	assert_non_null(strstr(bench->compress.why, "too little"));
}

/* The link becomes fast, then slow again: known at the end of each round, not before. */
static void a_link_that_changes(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 128);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
	bench->link = 900;
	compress_end_round(&bench->compress);
	send_mib(bench, 128);
	compress_end_round(&bench->compress);
	send_mib(bench, 128);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
	assert_int_equal(bench->compress.changes, 2);
	bench->link = 12;
	send_mib(bench, 32);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
	compress_end_round(&bench->compress);
	send_mib(bench, 32);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
	assert_int_equal(bench->compress.changes, 3);
}

static void what_shrinks_no_more(void **state)
{
	struct bench *bench = *state;

	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 64);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
	bench->ratio[CODEC_ZSTD] = bench->ratio[CODEC_LZ4] = 1;
	compress_end_round(&bench->compress);
	send_mib(bench, 64);
	compress_end_round(&bench->compress);
	/* lz4 may be tried once, by what it made of the pages before */
	send_mib(bench, 64);
	compress_end_round(&bench->compress);
	assert_int_equal(bench->compress.codec, CODEC_NONE);
}

/* What goes out behind --bandwidth takes no time of the link's. */
static void a_limit_is_the_link(void **state)
{
	struct bench *bench = *state;

	bench->link = 3000;
	bench->compress.limit = 10 << 20;
	agree(bench, COMPRESS_AUTO, CODEC_ALL);
	send_mib(bench, 32);
	assert_int_equal(bench->compress.codec, CODEC_ZSTD);
	assert_int_equal(bench->compress.link, 10 << 20);
}

static void nobody_asks(void **state)
{
	struct compress_mark mark = compress_begin(NULL, 5);

	assert_int_equal(compress_end(NULL, &mark, 12), 7);
	assert_int_equal(compress_pages(NULL, 99), 99);
	assert_null(compress_packer(NULL));
	compress_end_round(NULL);
	assert_int_equal(compress_find("lz4"), COMPRESS_LZ4);
	assert_int_equal(compress_find("gzip"), -1);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(a_slow_link), BENCH_TEST(a_fast_link), BENCH_TEST(a_link_beyond_all_codecs),
		BENCH_TEST(memory_that_does_not_shrink), BENCH_TEST(the_faster_codec_of_both),
		BENCH_TEST(the_codec_that_the_destination_has), BENCH_TEST(an_earlier_version),
		BENCH_TEST(an_earlier_version_does_not_do), BENCH_TEST(what_was_asked_for), BENCH_TEST(off),
		BENCH_TEST(too_little_to_measure), BENCH_TEST(a_link_that_changes),
		BENCH_TEST(what_shrinks_no_more), BENCH_TEST(a_limit_is_the_link), BENCH_TEST(nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
