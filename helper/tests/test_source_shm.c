// SPDX-License-Identifier: GPL-2.0
/* Shared memory at the source: found once, sent once, and compared with what was sent. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/shm_compare.h"
#include "source/shm_send.h"
#include "wire/stream.h"

#define PAGES	200

/**
 * struct bench - this process is the program, twice; @mirror is what the other end has
 * @rounds: marks that came; @pages: pages that came; @listed: by POPULATED
 */
struct bench {
	struct tree tree;
	struct source_shms shms;
	struct sender sender;
	struct mailbox box;
	struct conn conn, dest;
	pthread_t reader;
	uint8_t mirror[PAGES * PAGE_BYTES];
	bool have[PAGES];
	atomic_uint rounds, pages, listed;
	int fd;
	uint8_t *map;
	struct error err;
};

static const struct migrate_options opts;

static void take_pages(struct bench *bench, const struct frame *frame)
{
	struct error err = { 0 };

	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		const struct splice_vm_run *run = &frame->runs[i];

		if (frame->kind == FRAME_PAGES)
			conn_read(&bench->dest, bench->mirror + run->addr, run->nr_pages * PAGE_BYTES,
				  10000, &err);
		else
			memset(bench->mirror + run->addr, 0, run->nr_pages * PAGE_BYTES);
		for (uint32_t page = 0; page < run->nr_pages; page++)
			bench->have[run->addr / PAGE_BYTES + page] = frame->kind == FRAME_PAGES;
	}
}

static void *reader_body(void *arg)
{
	struct bench *bench = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&bench->dest, -1, &frame, &err) == 1) {
		if (frame.kind == FRAME_POPULATED)
			bench->listed += frame.nr_pages;
		else if (frame.kind == FRAME_PAGES || frame.kind == FRAME_DROPPED)
			take_pages(bench, &frame);
		if (frame.kind == FRAME_PAGES)
			bench->pages += frame.nr_pages;
		if (frame.kind == FRAME_ROUND)
			bench->rounds++;
	}
	frame_free(&frame);
	return NULL;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || shms_init(&bench->shms, &opts, &bench->err))
		return -1;
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	bench->fd = memfd_create("an object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(bench->fd, PAGES * PAGE_BYTES))
		return -1;
	for (int i = 0; i < 2; i++)
		if (!tree_add(&bench->tree, getpid(), &bench->err))
			return -1;
	mailbox_init(&bench->box, "the destination");
	return sender_init(&bench->sender, &bench->conn, true, &bench->err) ||
	       pthread_create(&bench->reader, NULL, reader_body, bench) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn);
	pthread_join(bench->reader, NULL);
	conn_close(&bench->dest);
	sender_destroy(&bench->sender);
	shms_destroy(&bench->shms);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	if (bench->map)
		munmap(bench->map, PAGES * PAGE_BYTES);
	if (bench->fd >= 0)
		close(bench->fd);
	free(bench);
	return 0;
}

static void read_mappings(struct bench *bench)
{
	struct source_process *process;

	tree_for_each(&bench->tree, process)
		assert_int_equal(source_mm_read_vmas(&process->mm, &bench->err), 0);
}

static void find(struct bench *bench)
{
	read_mappings(bench);
	assert_int_equal(shms_find(&bench->shms, &bench->tree, &bench->err), 0);
}

static void map(struct bench *bench)
{
	bench->map = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bench->fd, 0);
	assert_true(bench->map != MAP_FAILED);
}

/* Send a round, and wait until the other end has it. Return: pages that went */
static unsigned int send_round(struct bench *bench)
{
	unsigned int rounds = bench->rounds, pages = bench->pages;

	assert_int_equal(shms_look(&bench->shms, &bench->err), 0);
	assert_int_equal(shms_send(&bench->shms, &bench->sender, &bench->box, &bench->err), 0);
	assert_int_equal(shms_mark(&bench->shms, &bench->sender, FRAME_ROUND, &bench->err), 0);
	for (int ms = 0; ms < 10000 && bench->rounds == rounds; ms++)
		usleep(1000);
	assert_int_equal(bench->rounds, rounds + 1);
	return bench->pages - pages;
}

static void same(struct bench *bench)
{
	static uint8_t now[PAGES * PAGE_BYTES];

	memset(now, 0, sizeof(now));
	assert_true(pread(bench->fd, now, sizeof(now), 0) >= 0);
	assert_memory_equal(now, bench->mirror, sizeof(now));
}

static void write_page(struct bench *bench, int page, uint8_t byte)
{
	assert_int_equal(pwrite(bench->fd, &byte, 1, page * PAGE_BYTES + 77), 1);
}

/* However many processes and mappings have it, and whatever its descriptors. */
static void shm_test_once(void **state)
{
	struct bench *bench = *state;
	int more = dup(bench->fd);

	map(bench);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_string_equal(bench->shms.list[0]->name, "an object");
	assert_true(bench->shms.list[0]->sealable);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	close(more);
}

static void shm_test_anonymous(void **state)
{
	struct bench *bench = *state;

	close(bench->fd);
	bench->fd = -1;
	bench->map = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_false(bench->shms.list[0]->sealable);
	assert_string_equal(bench->shms.list[0]->name, "/dev/zero");
}

/* By a store, by pwrite(2), and by nobody: what changed goes, and no more. */
static void shm_test_changes(void **state)
{
	struct bench *bench = *state;

	map(bench);
	memset(bench->map, 1, 100 * PAGE_BYTES);
	find(bench);
	assert_int_equal(send_round(bench), 100);
	same(bench);
	assert_int_equal(send_round(bench), 0);
	bench->map[5 * PAGE_BYTES] = 2;
	write_page(bench, 70, 3);
	write_page(bench, 150, 4);
	assert_int_equal(send_round(bench), 3);
	same(bench);
}

static void shm_test_holes(void **state)
{
	struct bench *bench = *state;

	for (int page = 0; page < 20; page++)
		write_page(bench, page, 9);
	find(bench);
	assert_int_equal(send_round(bench), 20);
	assert_int_equal(fallocate(bench->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   4 * PAGE_BYTES, 3 * PAGE_BYTES), 0);
	assert_int_equal(send_round(bench), 0);
	assert_false(bench->have[4] || bench->have[5] || bench->have[6]);
	assert_true(bench->have[3] && bench->have[7]);
	same(bench);
	/* the digest of a page that was dropped says nothing: the destination has no page */
	write_page(bench, 5, 9);
	assert_int_equal(send_round(bench), 1);
	same(bench);
	assert_int_equal(shms_send_lists(&bench->shms, &bench->sender, &bench->err), 0);
	send_round(bench);
	assert_int_equal(bench->listed, 18);
}

/* An object that was cut and has grown again has zeros where the destination has dropped pages. */
static void shm_test_size(void **state)
{
	struct bench *bench = *state;

	for (int page = 0; page < 20; page++)
		write_page(bench, page, 9);
	find(bench);
	assert_int_equal(send_round(bench), 20);
	assert_int_equal(ftruncate(bench->fd, 10 * PAGE_BYTES + 100), 0);
	assert_int_equal(shms_look(&bench->shms, &bench->err), 0);
	assert_int_equal(bench->shms.list[0]->bytes, 11 * PAGE_BYTES);
	assert_int_equal(shms_pages(&bench->shms), 11);
	assert_int_equal(ftruncate(bench->fd, PAGES * PAGE_BYTES), 0);
	write_page(bench, 15, 9);
	assert_int_equal(send_round(bench), 1);
}

/* An early comparison, of a program that stands for as long as the test does not write. */
static void compare(struct bench *bench, bool stop)
{
	struct shm_compare compare = { 0 };

	shm_compare_start(&compare, &bench->shms, &bench->box);
	shm_compare_start(&compare, &bench->shms, &bench->box);
	for (bool done = !stop; !done; ) {
		pthread_mutex_lock(&compare.lock);
		done = compare.at == bench->shms.nr;
		pthread_mutex_unlock(&compare.lock);
	}
	if (stop)
		shm_compare_stop(&compare);
	shm_compare_end(&compare);
	shm_compare_end(&compare);
}

/* 100 pages that the destination has, one of which is another one since. */
static void send_and_write(struct bench *bench)
{
	map(bench);
	memset(bench->map, 1, 100 * PAGE_BYTES);
	find(bench);
	assert_int_equal(send_round(bench), 100);
	write_page(bench, 5, 3);
	bench->sender.frozen = true;
}

/* What is the same is not read again. What is not the same, or is new, goes. */
static void shm_test_early(void **state)
{
	struct bench *bench = *state;

	send_and_write(bench);
	write_page(bench, 150, 4);
	compare(bench, false);
	assert_true(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 5 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 150 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 2);
	same(bench);
	assert_int_equal(bench->shms.early_pages, 99);
	assert_int_equal(bench->shms.compared_pages, 101);
	/* a program that stands does not do this: it shows that the page is not read again */
	write_page(bench, 7, 8);
	assert_int_equal(send_round(bench), 0);
}

/* A hole, and where the object is shorter or longer than it was. */
static void shm_test_early_holes(void **state)
{
	struct bench *bench = *state;

	send_and_write(bench);
	assert_int_equal(fallocate(bench->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   10 * PAGE_BYTES, 3 * PAGE_BYTES), 0);
	assert_int_equal(ftruncate(bench->fd, 50 * PAGE_BYTES + 100), 0);
	compare(bench, false);
	assert_int_equal(ftruncate(bench->fd, 2 * PAGES * PAGE_BYTES), 0);
	assert_false(shm_is_known(bench->shms.list[0], 50 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 300 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 2);
	assert_false(bench->have[10] || bench->have[12]);
	same(bench);
}

/* The program runs again, or the migration has failed: nothing of it counts. */
static void shm_test_early_stopped(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	send_and_write(bench);
	compare(bench, true);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	write_page(bench, 7, 8);
	assert_int_equal(send_round(bench), 2);
	error_set(&err, CODE_ABORTED, NULL, "a signal");
	mailbox_lock(&bench->box);
	mailbox_fail_locked(&bench->box, &err, false);
	mailbox_unlock(&bench->box);
	compare(bench, false);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
}

/* CRIU lets threads run, for which the kernel writes their rseq areas. */
static void shm_test_early_rseq(void **state)
{
	struct vma vmas[2] = { { .start = 0x10000, .end = 0x20000 },
			       { .start = 0x20000, .end = 0x30000 } };
	struct criu_area area = { .addr = 0x1fff0, .bytes = 32 };
	const struct criu_task task = {
		.rseq = &area, .nr_rseq = 1, .vmas = { .vmas = vmas, .nr = 2 },
	};
	struct bench *bench = *state;

	send_and_write(bench);
	compare(bench, false);
	shms_forget_rseq(&bench->shms, &task);
	assert_true(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	vmas[1].shared = true;
	shms_forget_rseq(&bench->shms, &task);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 1);
}

/* The helper's descriptor must not keep an object that the program has given up. */
static void shm_test_gone(void **state)
{
	struct bench *bench = *state;

	find(bench);
	close(bench->fd);
	bench->fd = -1;
	find(bench);
	/* the helper of this test is the program, so that its own descriptor shows the object */
	assert_int_equal(shms_nr(&bench->shms), 1);
	close(bench->shms.list[0]->fd);
	bench->shms.list[0]->fd = open("/dev/null", O_RDONLY);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 0);
	assert_true(bench->shms.list[0]->gone);
}

/* What the dump does not have the program has not any more. */
static void shm_test_dump(void **state)
{
	struct bench *bench = *state;
	int other = memfd_create("another", MFD_CLOEXEC);

	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 2);
	bench->shms.list[0]->announced = bench->shms.list[1]->announced = true;
	assert_int_equal(shms_plan_dump(&bench->shms, &bench->err), 0);
	assert_int_equal(bench->shms.dump.nr, 2);
	bench->shms.dump.objects[1].dumped = true;
	assert_int_equal(shms_take_dump(&bench->shms, &bench->tree, &bench->err), 0);
	assert_true(bench->shms.list[0]->gone);
	assert_false(bench->shms.list[1]->gone);
	close(other);
}

/* A file of /dev/shm is an object until it has no name any more, open or not. */
static void shm_test_file(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-shm";
	struct bench *bench = *state;
	int file;

	close(bench->fd);
	bench->fd = -1;
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	assert_true(file >= 0);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_true(bench->shms.list[0]->named);
	assert_string_equal(bench->shms.list[0]->name, path);
	bench->shms.list[0]->announced = true;
	close(file);
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	/* CRIU takes it for a file, and dumps nothing of it */
	assert_int_equal(shms_plan_dump(&bench->shms, &bench->err), 0);
	assert_int_equal(bench->shms.dump.nr, 0);
	assert_int_equal(shms_take_dump(&bench->shms, &bench->tree, &bench->err), 0);
	assert_int_equal(shms_nr(&bench->shms), 1);
	unlink(path);
	assert_int_equal(shms_take_dump(&bench->shms, &bench->tree, &bench->err), 0);
	assert_int_equal(shms_nr(&bench->shms), 0);
}

/* One that both machines have is the storage's. */
static void shm_test_shared_storage(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-shm";
	const struct migrate_options shared = {
		.shared_storage = { "/dev/shm" }, .nr_shared_storage = 1,
	};
	struct bench *bench = *state;
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	bench->shms.opts = &shared;
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_false(bench->shms.list[0]->named);
	close(file);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shm_test_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_anonymous, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_holes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_holes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_rseq, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_dump, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_shared_storage, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
