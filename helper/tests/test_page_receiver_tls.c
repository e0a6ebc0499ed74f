// SPDX-License-Identifier: GPL-2.0
/* A connection to the page server by TLS: how it ends, and who gets no image. */
#define _GNU_SOURCE
#include "services/page_receiver.h"
#include "tests/certificates.h"
#include "tests/criu_images.h"

#define HERE		"127.0.0.1"
#define WAIT_MS		20000
#define TARGET		((uint64_t)TEST_PID << 8 | 1)

/** struct bench - the test is the client */
struct bench {
	struct test_dir base, images;
	char ca[64], cert[64], key[64];
	struct tls_trust *trust;
	struct image_dir dir;
	struct page_receiver receiver;
	struct page_stream stream;
	struct error err;
};

static struct tls_trust *load(struct bench *bench, const char *cert, const char *key)
{
	const struct tls_files files = { .cacert = bench->ca, .cert = bench->cert, .key = bench->key };
	struct tls_trust *trust;

	snprintf(bench->ca, sizeof(bench->ca), "%s/ca.pem", bench->base.path);
	snprintf(bench->cert, sizeof(bench->cert), "%s/%s", bench->base.path, cert);
	snprintf(bench->key, sizeof(bench->key), "%s/%s", bench->base.path, key);
	trust = tls_trust_load(&files, &bench->err);
	assert_non_null(trust);
	return trust;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct authority ca, stranger;
	int pair[2];

	*state = bench;
	dir_make(&bench->base);
	dir_make(&bench->images);
	ca = authority_make(bench->base.fd, "ca.pem");
	stranger = authority_make(bench->base.fd, "stranger.pem");
	authority_sign(&ca, bench->base.fd, "cert.pem", "key.pem", HERE, 2, 0);
	authority_sign(&stranger, bench->base.fd, "alien.pem", "alien-key.pem", HERE, 2, 0);
	authority_free(&ca);
	authority_free(&stranger);
	bench->trust = load(bench, "cert.pem", "key.pem");
	assert_int_equal(image_dir_open(&bench->dir, bench->images.path, NULL, &bench->err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench->stream.fd = pair[0];
	page_receiver_init(&bench->receiver, pair[1], &bench->dir);
	bench->receiver.trust = bench->trust;
	bench->receiver.name = HERE;
	return page_receiver_start(&bench->receiver, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	tls_free(bench->stream.tls);
	page_receiver_free(&bench->receiver);
	image_dir_close(&bench->dir);
	tls_trust_free(bench->trust);
	dir_remove(&bench->images);
	dir_remove(&bench->base);
	free(bench);
	return 0;
}

static void begin(struct bench *bench, const char *cert, const char *key)
{
	struct tls_trust *trust = load(bench, cert, key);

	bench->stream.tls = tls_connect(bench->stream.fd, trust, HERE, WAIT_MS, &bench->err);
	tls_trust_free(trust);
	assert_non_null(bench->stream.tls);
}

static void say(struct bench *bench, uint32_t id, uint32_t flags, uint64_t page, uint64_t nr)
{
	const struct page_command command = {
		.id = id, .flags = flags, .nr_pages = nr, .addr = page * PAGE_BYTES,
		.target = id == PAGE_COMMAND_CLOSE || id == PAGE_COMMAND_FORCE_CLOSE ? 0 : TARGET,
	};

	assert_int_equal(page_command_write(&bench->stream, PAGE_COMMAND_NARROW, &command, false), 0);
}

static void expect(struct bench *bench, const char *bytes, size_t nr)
{
	char got[8];

	assert_int_equal(page_stream_read(&bench->stream, got, nr), 1);
	assert_memory_equal(got, bytes, nr);
}

static void say_dump(struct bench *bench)
{
	uint8_t pages[5 * PAGE_BYTES];

	memset(pages, 'a', sizeof(pages));
	begin(bench, "cert.pem", "key.pem");
	say(bench, PAGE_COMMAND_OPEN2, 0, 0, 0);
	expect(bench, "\0", 1);
	say(bench, PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 4, 5);
	assert_int_equal(page_stream_write(&bench->stream, pages, sizeof(pages), false), 0);
}

/* No image, and no part of one */
static void expect_nothing(struct bench *bench)
{
	DIR *stream = fdopendir(dup(bench->images.fd));
	struct dirent *entry;

	rewinddir(stream);
	while ((entry = readdir(stream)))
		assert_null(strstr(entry->d_name, ".img"));
	closedir(stream);
}

static void tls_receiver_test_dump(void **state)
{
	struct bench *bench = *state;
	uint8_t pages[6 * PAGE_BYTES];
	char byte;

	say_dump(bench);
	say(bench, PAGE_COMMAND_CLOSE, 0, 0, 0);
	expect(bench, "\0\0\0\0", 4);
	/* the server ends TLS by itself, since CRIU waits for that */
	assert_int_equal(page_stream_read(&bench->stream, &byte, 1), 0);
	tls_end(bench->stream.tls, 0);
	close(bench->stream.fd);
	page_receiver_join(&bench->receiver);
	assert_true(bench->receiver.closed);
	assert_int_equal(file_read(bench->images.fd, "pages-65537.img", pages, sizeof(pages)),
			 5 * PAGE_BYTES);
	for (size_t i = 0; i < 5 * PAGE_BYTES; i++)
		assert_int_equal(pages[i], 'a');
}

/* The socket is good for other bytes after FORCE_CLOSE: TLS is over at both ends. */
static void tls_receiver_test_force_close(void **state)
{
	struct bench *bench = *state;
	char byte;

	say_dump(bench);
	say(bench, PAGE_COMMAND_FORCE_CLOSE, 0, 0, 0);
	expect(bench, "\0\0\0\0", 4);
	tls_end(bench->stream.tls, WAIT_MS);
	page_receiver_join(&bench->receiver);
	assert_true(bench->receiver.closed);
	assert_int_equal(send(bench->stream.fd, "x", 1, 0), 1);
	assert_int_equal(recv(bench->receiver.stream.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	close(bench->stream.fd);
}

static void expect_lost(struct bench *bench)
{
	close(bench->stream.fd);
	page_receiver_join(&bench->receiver);
	assert_false(bench->receiver.closed);
	assert_int_equal(bench->receiver.err.code, CODE_NETWORK);
	expect_nothing(bench);
}

static void tls_receiver_test_cut(void **state)
{
	say_dump(*state);
	expect_lost(*state);
}

/* A clean end of TLS is no CLOSE. */
static void tls_receiver_test_ended(void **state)
{
	struct bench *bench = *state;

	say_dump(bench);
	tls_end(bench->stream.tls, 0);
	expect_lost(bench);
}

static void tls_receiver_test_cut_in_page(void **state)
{
	struct bench *bench = *state;

	say_dump(bench);
	say(bench, PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 10, 5);
	expect_lost(bench);
}

static void tls_receiver_test_alien(void **state)
{
	struct bench *bench = *state;

	begin(bench, "alien.pem", "alien-key.pem");
	close(bench->stream.fd);
	page_receiver_join(&bench->receiver);
	assert_false(bench->receiver.closed);
	assert_false(bench->receiver.spoke);
	assert_int_equal(bench->receiver.err.code, CODE_PEER);
	assert_non_null(strstr(bench->receiver.err.what, "the certificate of the sender is refused"));
	expect_nothing(bench);
}

static void tls_receiver_test_stopped(void **state)
{
	struct bench *bench = *state;

	page_receiver_cut(&bench->receiver, PAGE_CUT_STOP);
	page_receiver_join(&bench->receiver);
	assert_true(error_is_set(&bench->receiver.err));
	close(bench->stream.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tls_receiver_test_dump, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_force_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_cut_in_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_alien, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_receiver_test_stopped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
