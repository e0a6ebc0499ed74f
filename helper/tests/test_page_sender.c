// SPDX-License-Identifier: GPL-2.0
/* Pages of a task to a page server: ours hears what they are, in both forms, and by TLS. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "services/page_receiver.h"
#include "services/page_sender.h"
#include "tests/page_dump.h"
#include "tests/certificates.h"
#include "tests/criu_images.h"
#include "tests/fake_backend.h"

#define HERE		"127.0.0.1"
#define WAIT_MS		20000
#define NEVER_SPLICED	7	/* each seventh page can only be copied */
#define PAGES		1000

/** struct bench - @stream: the sender's end; @fd: directory of the images */
struct bench {
	struct test_dir base;
	int fd;
	struct image_dir dir;
	struct page_receiver receiver;
	struct fake fake;
	struct page_stream stream;
	struct tls_trust *trust;
	struct page_sender_counts counts;
	struct error err;
};

static uint64_t spliced;	/* pages that went by reference */

/* As the module's: short before the first page that cannot go. */
static int fake_splice(struct backend *backend, uint64_t addr, size_t nr_pages, int pipe, size_t *done,
		       struct error *err)
{
	uint8_t page[PAGE_BYTES];
	size_t bytes;

	for (*done = 0; *done < nr_pages; (*done)++, addr += PAGE_BYTES) {
		if (!((addr - FAKE_BASE) / PAGE_BYTES % NEVER_SPLICED))
			break;
		if (fake_read(backend, addr, page, PAGE_BYTES, &bytes, err) || !bytes)
			break;
		if (write(pipe, page, PAGE_BYTES) != (ssize_t)PAGE_BYTES)
			return error_set(err, CODE_INTERNAL, NULL, "the pipe is full");
	}
	spliced += *done;
	return 0;
}

static struct backend_ops splicing_ops;

static void splice_too(struct bench *bench)
{
	splicing_ops = fake_ops;
	splicing_ops.splice = fake_splice;
	bench->fake.backend.ops = &splicing_ops;
	spliced = 0;
}

static void connect_bench(struct bench *bench, const struct tls_trust *trust)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench->stream = (struct page_stream){ .fd = pair[0] };
	page_receiver_init(&bench->receiver, pair[1], &bench->dir);
	bench->receiver.trust = trust;
	assert_int_equal(page_receiver_start(&bench->receiver, &bench->err), 0);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[64];

	*state = bench;
	signal(SIGPIPE, SIG_IGN);
	dir_make(&bench->base);
	assert_int_equal(mkdirat(bench->base.fd, "images", 0700), 0);
	assert_int_equal(mkdirat(bench->base.fd, "before", 0700), 0);
	snprintf(path, sizeof(path), "%s/images", bench->base.path);
	bench->fd = open(path, O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(image_dir_open(&bench->dir, path, "../before", &bench->err), 0);
	fake_init(&bench->fake);
	return 0;
}

static void hang_up(struct bench *bench)
{
	close(bench->stream.fd);
	page_receiver_join(&bench->receiver);
	tls_free(bench->stream.tls);
	page_receiver_free(&bench->receiver);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	tls_trust_free(bench->trust);
	image_dir_close(&bench->dir);
	close(bench->fd);
	dir_remove(&bench->base);
	free(bench);
	return 0;
}

static int send_runs(struct bench *bench, bool wide, const struct pagemap_entry *runs, size_t nr)
{
	const struct page_sender_task task = {
		.backend = &bench->fake.backend, .pid = TEST_PID, .runs = runs, .nr_runs = nr,
	};

	return page_dump(&bench->stream, wide, &task, &bench->counts, &bench->err);
}

static struct pagemap_entry entry_of(uint64_t page, uint64_t nr, uint32_t flags)
{
	return (struct pagemap_entry){ .addr = AT(page), .nr_pages = nr, .flags = flags };
}

/* Pages @from to @to, one behind the other from the @at-th of the image on */
static void check_pages(struct bench *bench, uint32_t id, size_t at, uint64_t from, uint64_t to)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "pages-%u.img", id);
	fd = openat(bench->fd, name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (uint64_t page = from; page < to; page++) {
		uint64_t number;

		assert_int_equal(pread(fd, &number, sizeof(number), (at + page - from) * PAGE_BYTES), 8);
		assert_int_equal(number, page);
	}
	close(fd);
}

static void send_all(struct bench *bench, bool wide)
{
	const struct pagemap_entry runs[] = {
		entry_of(3, PAGES, PAGEMAP_PRESENT), entry_of(2000, 1, PAGEMAP_PRESENT | PAGEMAP_LAZY),
	};
	struct pagemap_entry entries[512];
	size_t nr;

	assert_int_equal(send_runs(bench, wide, runs, 2), 0);
	hang_up(bench);
	assert_true(bench->receiver.closed);
	assert_int_equal(bench->counts.pages, PAGES + 1);
	assert_int_equal(bench->receiver.counts.present, PAGES + 1);
	nr = pagemap_list(bench->fd, entries, 512);
	assert_in_range(nr, 2, 511);
	assert_int_equal(entries[0].addr, AT(3));
	assert_int_equal(entries[nr - 1].addr, AT(2000));
	assert_int_equal(entries[nr - 1].flags, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	check_pages(bench, IMAGE_DIR_FIRST_ID, 0, 3, 3 + PAGES);
	check_pages(bench, IMAGE_DIR_FIRST_ID, PAGES, 2000, 2001);
}

static void sender_test_copied(void **state)
{
	struct bench *bench = *state;

	connect_bench(bench, NULL);
	send_all(bench, false);
	assert_int_equal(bench->counts.copied, PAGES + 1);
}

static void sender_test_spliced(void **state)
{
	struct bench *bench = *state;

	splice_too(bench);
	connect_bench(bench, NULL);
	send_all(bench, true);
	assert_int_equal(bench->receiver.bytes, PAGE_COMMAND_WIDE);
	assert_in_range(bench->counts.copied, PAGES / NEVER_SPLICED, PAGES / NEVER_SPLICED + 2);
	assert_int_equal(spliced + bench->counts.copied, PAGES + 1);
}

static const struct tls_trust *load_trust(struct bench *bench)
{
	struct authority ca = authority_make(bench->base.fd, "ca.pem");
	char paths[3][64];
	struct tls_files files = { .cacert = paths[0], .cert = paths[1], .key = paths[2] };

	authority_sign(&ca, bench->base.fd, "cert.pem", "key.pem", HERE, 2, 0);
	authority_free(&ca);
	snprintf(paths[0], sizeof(paths[0]), "%s/ca.pem", bench->base.path);
	snprintf(paths[1], sizeof(paths[1]), "%s/cert.pem", bench->base.path);
	snprintf(paths[2], sizeof(paths[2]), "%s/key.pem", bench->base.path);
	bench->trust = tls_trust_load(&files, &bench->err);
	assert_non_null(bench->trust);
	return bench->trust;
}

/* By TLS nothing goes by reference: that would be plain text. */
static void sender_test_tls(void **state)
{
	struct bench *bench = *state;

	splice_too(bench);
	connect_bench(bench, load_trust(bench));
	bench->stream.tls = tls_connect(bench->stream.fd, bench->trust, HERE, WAIT_MS, &bench->err);
	assert_non_null(bench->stream.tls);
	send_all(bench, false);
	assert_int_equal(spliced, 0);
	assert_int_equal(bench->counts.copied, PAGES + 1);
}

static void write_parent(struct bench *bench)
{
	static const uint8_t content[8 * PAGE_BYTES];
	int fd = openat(bench->base.fd, "before", O_DIRECTORY | O_CLOEXEC);
	struct image_out out;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	pagemap_put(&out, AT(0), 8, PAGEMAP_PRESENT);
	assert_int_equal(image_out_store(&out, fd, "pagemap-77.img", &bench->err), 0);
	image_out_free(&out);
	file_write(fd, "pages-1.img", content, sizeof(content));
	close(fd);
}

static void sender_test_parent(void **state)
{
	const struct pagemap_entry runs[] = {
		entry_of(0, 3, PAGEMAP_PARENT), entry_of(3, 2, PAGEMAP_PRESENT), entry_of(5, 3, PAGEMAP_PARENT),
	};
	struct bench *bench = *state;
	struct pagemap_entry entries[8];

	write_parent(bench);
	connect_bench(bench, NULL);
	assert_int_equal(send_runs(bench, true, runs, 3), 0);
	hang_up(bench);
	assert_int_equal(bench->counts.in_parent, 6);
	assert_int_equal(bench->counts.pages, 2);
	assert_int_equal(pagemap_list(bench->fd, entries, 8), 3);
	assert_int_equal(entries[0].flags, PAGEMAP_PARENT);
	assert_int_equal(entries[2].nr_pages, 3);
	check_pages(bench, IMAGE_DIR_FIRST_ID, 0, 3, 5);
}

static void sender_test_no_parent(void **state)
{
	const struct pagemap_entry hole = entry_of(0, 3, PAGEMAP_PARENT);
	struct bench *bench = *state;

	connect_bench(bench, NULL);
	assert_int_equal(send_runs(bench, false, &hole, 1), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "no older image"));
	hang_up(bench);
	assert_false(bench->receiver.closed);
}

/* The program unmaps memory while its pages are sent: the dump goes on without it. */
static void sender_test_gone(void **state)
{
	const struct pagemap_entry run = entry_of(10, 20, PAGEMAP_PRESENT);
	struct bench *bench = *state;

	bench->fake.unreadable = 15;
	connect_bench(bench, NULL);
	assert_int_equal(send_runs(bench, false, &run, 1), 0);
	hang_up(bench);
	assert_true(bench->receiver.closed);
	assert_int_equal(bench->counts.pages, 5);
	assert_int_equal(bench->counts.gone, 15);
}

/* As CRIU 4.2 after a command of 24 bytes: it waits for the rest of one of 32. */
static void sender_test_no_answer(void **state)
{
	struct bench *bench = *state;
	const struct page_sender_task task = { .pid = TEST_PID, .backend = &bench->fake.backend };
	struct page_sender sender;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench->stream = (struct page_stream){ .fd = pair[0] };
	assert_int_equal(page_sender_init(&sender, &bench->stream, false, &bench->err), 0);
	sender.answer_ms = 20;
	assert_int_equal(page_sender_task(&sender, &task, &bench->err), -1);
	assert_non_null(strstr(bench->err.hint, "--wide"));
	page_sender_free(&sender);
	close(pair[0]);
	close(pair[1]);
}

/* The server ends before it has all: the dump is not complete. */
static void sender_test_server_ends(void **state)
{
	const struct pagemap_entry run = entry_of(10, PAGES, PAGEMAP_PRESENT);
	struct bench *bench = *state;

	connect_bench(bench, NULL);
	page_receiver_cut(&bench->receiver, PAGE_CUT_STOP);
	assert_int_equal(send_runs(bench, false, &run, 1), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
	hang_up(bench);
}

/* What the server cannot keep is no success: the images of this process are there already. */
static void sender_test_refused(void **state)
{
	const struct pagemap_entry run = entry_of(10, 1, PAGEMAP_PRESENT);
	struct bench *bench = *state;

	connect_bench(bench, NULL);
	assert_int_equal(send_runs(bench, false, &run, 1), 0);
	hang_up(bench);
	connect_bench(bench, NULL);
	assert_int_equal(send_runs(bench, false, &run, 1), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
	hang_up(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sender_test_copied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_spliced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_tls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_no_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_no_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_server_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sender_test_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
