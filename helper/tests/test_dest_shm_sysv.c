// SPDX-License-Identifier: GPL-2.0
/* System V memory at the destination: the images of a segment are made from its mirror. */
#define _GNU_SOURCE
#include "criu/pagemap.h"
#include "tests/shm_kit.h"

static void segment_record(struct bench *bench, const char *name, uint32_t id, uint64_t bytes)
{
	Img__IpcDescEntry desc = IMG__IPC_DESC_ENTRY__INIT;
	Img__IpcShmEntry segment = IMG__IPC_SHM_ENTRY__INIT;

	desc.id = id;
	segment.desc = &desc;
	segment.size = bytes;
	one_record(bench->dir.fd, name, IMAGE_IPCNS_SHM, &segment.base);
}

static void segment_image(struct bench *bench, uint64_t bytes)
{
	unlinkat(bench->dir.fd, "memfd.img", 0);
	segment_record(bench, "ipcns-shm-9.img", SHMID, bytes);
}

/** struct seen - what a pagemap says */
struct seen {
	struct pagemap_entry entries[4];
	size_t nr;
};

static int see(void *ctx, const struct pagemap_entry *entry, uint64_t at, struct error *err)
{
	struct seen *seen = ctx;

	assert_true(seen->nr < 4);
	seen->entries[seen->nr++] = *entry;
	return 0;
}

/* The images of a segment are what CRIU would have written; the mirror is given back, unless it is compared. */
static void segment(struct bench *bench, bool compares)
{
	static uint8_t data[5 * PAGE_BYTES];
	struct seen seen = { 0 };
	struct pagemap_walk walk = { .take = see, .ctx = &seen };
	char name[IMAGE_NAME_MAX];

	segment_image(bench, BYTES);
	receive(bench, 0);
	bench->shm.compares = compares;
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), 0);
	assert_int_equal(lent, -1);
	assert_int_equal(bench->mm->mirror.have.nr, compares ? 4 : 0);
	assert_int_equal(pagemap_walk(bench->dir.fd, "pagemap-shmem-1034.img", &walk, &bench->err), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(seen.entries[0].addr, 0);
	assert_int_equal(seen.entries[0].nr_pages, 4);
	assert_int_equal(seen.entries[0].flags, PAGEMAP_PRESENT);
	snprintf(name, sizeof(name), "pages-%u.img", walk.pages_id);
	assert_int_equal(file_read(bench->dir.fd, name, data, sizeof(data)), 4 * PAGE_BYTES);
	for (size_t i = 0; i < 4 * PAGE_BYTES; i++)
		assert_int_equal(data[i], 'x');
	assert_int_equal(shm_give(&bench->shm, &bench->err), 0);
	if (bench->shm.images[0].fd >= 0)
		close(bench->shm.images[0].fd);
}

static void shm_test_segment(void **state)
{
	segment(*state, false);
}

static void shm_test_segment_that_is_compared(void **state)
{
	segment(*state, true);
}

static void shm_test_segment_that_is_shorter(void **state)
{
	struct bench *bench = *state;

	segment_image(bench, 3 * PAGE_BYTES);
	receive(bench, 0);
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

/* A memfd and a segment have come in frames, and in the images is a segment that has the memfd's number. */
static void shm_test_segment_of_that_number(void **state)
{
	Migrate__SharedMemory other = MIGRATE__SHARED_MEMORY__INIT;
	const struct mirror_range all = { 0, PAGE_BYTES };
	struct bench *bench = *state;
	uint64_t have, lack;
	struct mm *mm;

	other.object = OBJECT + 1;
	other.shmid = SHMID + 1;
	bench->list[1] = &other;
	bench->go.n_shared = 2;
	segment_record(bench, "ipcns-shm-9.img", SHMID, BYTES);
	segment_record(bench, "ipcns-shm-10.img", SHMID + 1, PAGE_BYTES);
	mm = objects_add_shm(&bench->objects, OBJECT + 1, "", 0, &bench->err);
	assert_non_null(mm);
	assert_int_equal(mm_announce(mm, &all, 1, &bench->err), 0);
	mm_final(mm, &have, &lack);
	receive(bench, 0);
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), 0);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-shmem-1034.img", F_OK, 0), -1);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-shmem-1035.img", F_OK, 0), 0);
}

/* The source throws the pages of a segment away, or it does not. */
static void shm_test_segment_that_came_twice(void **state)
{
	struct bench *bench = *state;

	segment_image(bench, BYTES);
	file_write(bench->dir.fd, "pagemap-shmem-1034.img", "", 0);
	receive(bench, 0);
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shm_test_segment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_is_compared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_is_shorter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_came_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_of_that_number, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
