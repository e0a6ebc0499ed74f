// SPDX-License-Identifier: GPL-2.0
/* Shared memory at the source: found once, sent once, and compared with what was sent. */
#define _GNU_SOURCE
#include <sys/ipc.h>
#include <sys/shm.h>
#include "tests/shm_bench.h"

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

/* Another segment each time, which is attached: its id. */
static int attach(struct bench *bench)
{
	int id = shmget(IPC_PRIVATE, PAGES * PAGE_BYTES, 0600);
	void *at = shmat(id, NULL, 0);

	assert_true(id >= 0 && at != (void *)-1);
	close(bench->fd);
	bench->fd = -1;
	bench->map = at;
	return id;
}

/* Its inode has the segment's number, by which CRIU's images name it. */
static void shm_test_segment(void **state)
{
	struct bench *bench = *state;
	int id = attach(bench);

	bench->map[3 * PAGE_BYTES] = 7;
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_true(bench->shms.list[0]->sysv);
	assert_int_equal(bench->shms.list[0]->ino, id);
	assert_false(bench->shms.list[0]->sealable);
	assert_int_equal(send_round(bench), 1);
	assert_int_equal(bench->mirror[3 * PAGE_BYTES], 7);
	bench->map[4 * PAGE_BYTES] = 8;
	assert_int_equal(send_round(bench), 1);
	assert_int_equal(bench->mirror[4 * PAGE_BYTES], 8);
	shmctl(id, IPC_RMID, NULL);
}

/* CRIU dumps a segment that nobody has attached: its pages were thrown away, so that they must come in frames. */
static void shm_test_detached(void **state)
{
	struct bench *bench = *state;
	int id = attach(bench);

	find(bench);
	bench->shms.list[0]->announced = true;
	assert_int_equal(shms_plan_dump(&bench->shms, &bench->err), 0);
	assert_int_equal(bench->shms.dump.nr, 1);
	bench->shms.dump.objects[0].dumped = true;
	shmdt(bench->map);
	bench->map = NULL;
	read_mappings(bench);
	assert_int_equal(shms_take_dump(&bench->shms, &bench->tree, &bench->err), 0);
	assert_int_equal(shms_nr(&bench->shms), 1);
	bench->shms.dump.objects[0].dumped = false;
	assert_int_equal(shms_take_dump(&bench->shms, &bench->tree, &bench->err), 0);
	assert_int_equal(shms_nr(&bench->shms), 0);
	shmctl(id, IPC_RMID, NULL);
}

/* CRIU names both kinds by this number alone, and would write the images of one over those of the other. */
static void shm_test_two_of_one_number(void **state)
{
	struct bench *bench = *state;
	int id = attach(bench);

	find(bench);
	bench->shms.list[0]->sysv = false;
	assert_int_equal(shms_find(&bench->shms, &bench->tree, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	shmctl(id, IPC_RMID, NULL);
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

/* As a tree of @nr processes, all of them this one. */
static void find_as_many(struct bench *bench, size_t nr, int expected)
{
	struct tree many = { .nr = nr, .last_object = bench->tree.last_object };

	many.processes = calloc(nr, sizeof(*many.processes));
	assert_non_null(many.processes);
	for (size_t i = 0; i < nr; i++)
		many.processes[i] = bench->tree.processes[0];
	read_mappings(bench);
	assert_int_equal(shms_find(&bench->shms, &many, &bench->err), expected);
	bench->tree.last_object = many.last_object;
	free(many.processes);
}

/* There is no place for it at the destination, with all the processes: it is CRIU's. */
static void shm_test_no_place(void **state)
{
	struct bench *bench = *state;
	int other = memfd_create("another", MFD_CLOEXEC);

	find_as_many(bench, OBJECTS_MAX - OBJECTS_MAX / 8 - 1, 0);
	assert_int_equal(shms_nr(&bench->shms), 1);
	assert_true(bench->shms.left_out);
	find_as_many(bench, OBJECTS_MAX - OBJECTS_MAX / 8, 0);
	assert_int_equal(shms_nr(&bench->shms), 1);
	bench->tree.last_object = OBJECTS_EVER / 2;
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 1);
	bench->tree.last_object = 2;
	find(bench);
	assert_int_equal(shms_nr(&bench->shms), 2);
	close(other);
}

/* CRIU would take it for a file that the destination has. */
static void shm_test_no_place_for_file(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-shm";
	struct bench *bench = *state;
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	find_as_many(bench, OBJECTS_MAX - OBJECTS_MAX / 8, -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	assert_non_null(strstr(bench->err.what, path));
	close(file);
	unlink(path);
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
		cmocka_unit_test_setup_teardown(shm_test_segment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_detached, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_two_of_one_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_holes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_dump, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_no_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_no_place_for_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_shared_storage, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
