// SPDX-License-Identifier: GPL-2.0
/* The table of objects, and the thread that populates all of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/faults.h"
#include "dest/populate.h"
#include "dest/spaces.h"
#include "tests/conn_fd.h"
#include "tests/mm_hooks.h"
#include "tests/own_uffd.h"
#include "wire/stream.h"

#define P	PAGE_BYTES
#define PAGES	64UL
#define LATER_MS	60000

static struct world {
	struct objects objects;
	struct populate populate;
	struct faults faults;
	atomic_bool failed;
	int released;
} w;

static void release(void *ctx, int handle)
{
	w.released++;
}

static void work(void *ctx)
{
	populate_wake(&w.populate);
}

static void failed(void *ctx, const struct error *err)
{
	atomic_store(&w.failed, true);
}

static int set_up(void **state)
{
	struct mm_hooks hooks = no_mm_hooks;

	memset(&w, 0, sizeof(w));
	hooks.work = work;
	hooks.release = release;
	objects_init(&w.objects, &hooks, NULL, NULL);
	populate_init(&w.populate, &w.objects, &(struct populate_hooks){ .failed = failed });
	return 0;
}

static int tear_down(void **state)
{
	populate_stop(&w.populate);
	objects_destroy(&w.objects);
	populate_destroy(&w.populate);
	return 0;
}

static struct mm *add(uint32_t id, pid_t pid)
{
	struct error err = { 0 };
	struct mm *mm = objects_add_mm(&w.objects, id, pid, &err);

	assert_non_null(mm);
	return mm;
}

static void ids_are_unique(void **state)
{
	struct mm *one = add(1, 100), *two = add(2, 200);
	struct error err = { 0 };

	assert_ptr_equal(objects_mm(&w.objects, 1), one);
	assert_ptr_equal(objects_mm(&w.objects, 2), two);
	assert_null(objects_mm(&w.objects, 3));
	assert_ptr_equal(objects_mm_of(&w.objects, 200), two);
	assert_null(objects_mm_of(&w.objects, 1));
	assert_ptr_equal(objects_next(&w.objects, NULL), one);
	assert_ptr_equal(objects_next(&w.objects, one), two);
	assert_null(objects_next(&w.objects, two));
	assert_int_equal(objects_nr(&w.objects), 2);
	assert_null(objects_add_mm(&w.objects, 2, 300, &err));
	assert_int_equal(err.code, CODE_PEER);
	assert_null(objects_add_mm(&w.objects, 3, 100, &err));
	assert_null(objects_mm(&w.objects, 3));
}

/* Pages that are fetched for the images of the last process are limited as those of the first are. */
static void budget_holds_to_the_last(void **state)
{
	struct mm *mms[] = { add(1, 100), add(2, 200) };
	static struct budget budget;
	struct error err = { 0 };
	struct page_set lazy;

	budget_init(&budget, NULL, NULL);
	w.objects.budget = mms[0]->mirror.budget = mms[1]->mirror.budget = &budget;
	page_set_init(&lazy);
	assert_int_equal(mm_seal(mms[0], &lazy, &err), 0);
	assert_int_equal(objects_end_seal(&w.objects, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	memset(&err, 0, sizeof(err));
	assert_int_equal(budget_take(&budget, BUDGET_IMAGES, 1UL << 30, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	memset(&err, 0, sizeof(err));
	assert_int_equal(mm_seal(mms[1], &lazy, &err), 0);
	assert_int_equal(objects_end_seal(&w.objects, &err), 0);
	assert_int_equal(budget_take(&budget, BUDGET_IMAGES, 1UL << 30, &err), 0);
	page_set_destroy(&lazy);
}

/* The keeper would let go of another descriptor, which has the number by then. */
static void gone_once(void **state)
{
	struct error err = { 0 };

	add(1, 100);
	add(2, 200);
	assert_int_equal(objects_end(&w.objects, 1, &err), 0);
	assert_int_equal(w.released, 1);
	assert_int_equal(objects_end(&w.objects, 1, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "says twice"));
	assert_int_equal(w.released, 1);
	assert_int_equal(objects_end(&w.objects, 3, &err), -1);
	assert_int_equal(mm_announce(objects_mm(&w.objects, 1), NULL, 0, &err), -1);
	assert_null(objects_mm_of(&w.objects, 100));
	/* the process has called exec */
	add(3, 100);
}

static void *area_new(void)
{
	void *at = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

/* The walk has those that are not gone, in their order, wherever it stands when one ends. */
static void walk_is_in_order(void **state)
{
	/* they share their place in the table */
	const uint32_t ids[] = { 1, 1 + OBJECTS_BUCKETS, 1 + 2 * OBJECTS_BUCKETS, 7 };
	struct error err = { 0 };
	struct mm *mms[5];

	for (int i = 0; i < 4; i++)
		mms[i] = add(ids[i], ids[i]);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(objects_mm(&w.objects, ids[i]), mms[i]);
	assert_int_equal(objects_end(&w.objects, ids[1], &err), 0);
	assert_int_equal(objects_end(&w.objects, ids[3], &err), 0);
	assert_ptr_equal(objects_mm(&w.objects, ids[1]), mms[1]);
	assert_null(objects_mm_of(&w.objects, ids[1]));
	assert_ptr_equal(objects_mm_of(&w.objects, ids[0]), mms[0]);
	assert_ptr_equal(objects_mm_of(&w.objects, ids[2]), mms[2]);
	assert_int_equal(objects_nr(&w.objects), 2);
	assert_ptr_equal(objects_next(&w.objects, NULL), mms[0]);
	assert_ptr_equal(objects_next(&w.objects, mms[0]), mms[2]);
	assert_null(objects_next(&w.objects, mms[2]));
	/* a walk that stands at one that is gone goes on, also to what begins only now */
	assert_ptr_equal(objects_next(&w.objects, mms[1]), mms[2]);
	mms[4] = add(8, ids[3]);
	assert_ptr_equal(objects_next(&w.objects, mms[3]), mms[4]);
	assert_ptr_equal(objects_next(&w.objects, mms[2]), mms[4]);
	assert_null(objects_next(&w.objects, mms[4]));
	assert_int_equal(objects_end(&w.objects, ids[0], &err), 0);
	assert_ptr_equal(objects_next(&w.objects, NULL), mms[2]);
}

/* The round has ended when it has for each, in whatever order, whether they begin or end meanwhile. */
static void round_is_that_of_all(void **state)
{
	struct mm *one = add(1, 100), *two = add(2, 200), *three;
	struct error err = { 0 };

	two->round = 1;
	assert_false(objects_end_round(&w.objects, 1));
	one->round = 1;
	assert_true(objects_end_round(&w.objects, 1));
	one->round = 2;
	assert_false(objects_end_round(&w.objects, 2));
	three = add(3, 300);
	two->round = 2;
	assert_false(objects_end_round(&w.objects, 2));
	assert_int_equal(objects_end(&w.objects, 1, &err), 0);
	assert_int_equal(objects_end(&w.objects, 2, &err), 0);
	three->round = 2;
	assert_true(objects_end_round(&w.objects, 2));
	assert_false(objects_end_round(&w.objects, 3));
	assert_false(objects_are_listed(&w.objects));
	three->listed = true;
	assert_true(objects_are_listed(&w.objects));
}

/* A program cannot have so many; the destination would run out of mappings. */
static void no_end_of_objects(void **state)
{
	struct error err = { 0 };
	uint32_t id = 1;

	w.objects.nr = 2040;
	while (objects_add_mm(&w.objects, id, id, &err))
		assert_true(++id < 10);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "more than 2048 processes"));
	assert_int_equal(objects_end(&w.objects, 1, &err), 0);
	memset(&err, 0, sizeof(err));
	add(100, 100);
	assert_int_equal(objects_end(&w.objects, 2, &err), 0);
	w.objects.ever = 65536;
	assert_null(objects_add_mm(&w.objects, 101, 101, &err));
	assert_int_equal(err.code, CODE_REFUSED);
}

/* Return: number of entries in a directory, or of lines in a file */
static size_t count_in(const char *dir, const char *file)
{
	size_t nr = 0, cap = 0;
	char *line = NULL;
	FILE *in = file ? fopen(file, "re") : NULL;
	DIR *list = dir ? opendir(dir) : NULL;

	while (list && readdir(list))
		nr++;
	while (in && getline(&line, &cap, in) > 0)
		nr++;
	free(line);
	if (list)
		closedir(list);
	if (in)
		fclose(in);
	assert_true(nr > 0);
	return nr;
}

/* An address space of a few pages, into which a page is on its way when it ends. */
static void begin_and_end(uint32_t id, void *area)
{
	const struct mirror_range range = { (uintptr_t)area, (uintptr_t)area + PAGES * P };
	const struct splice_vm_run run = { .addr = range.start, .nr_pages = 2 };
	struct mm *mm = add(id, 100);
	struct mirror_windows *windows;
	struct error err = { 0 };
	uint8_t page[P] = { 1 };

	assert_int_equal(mm_announce(mm, &range, 1, &err), 0);
	assert_int_equal(mirror_write(&mm->mirror, range.start + 3 * P, 1, page, &err), 0);
	assert_int_equal(mm_begin_receive(mm, &run, 1, &windows, &err), 0);
	assert_int_equal(objects_end(&w.objects, id, &err), 0);
	*(uint8_t *)mirror_windows_at(windows, range.start, 2) = 1;
	assert_int_equal(mm_end_receive(mm, windows, &run, 1, &err), 0);
	/* what comes later is not for it either */
	assert_int_equal(mm_begin_receive(mm, &run, 1, &windows, &err), 1);
	mm_drop(mm, &run, 1);
}

/* Of a program that begins processes all the time the destination must not run out of anything. */
static void gone_gives_all_back(void **state)
{
	static struct budget budget;
	uint64_t books, memory;
	struct error err = { 0 };
	size_t fds, mappings;
	void *area = area_new();

	budget_init(&budget, NULL, NULL);
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, 100 * P, &err), 0);
	w.objects.budget = &budget;
	begin_and_end(1, area);
	fds = count_in("/proc/self/fd", NULL);
	mappings = count_in(NULL, "/proc/self/maps");
	books = budget.used[BUDGET_BOOKS];
	memory = budget.used[BUDGET_MIRROR];
	for (uint32_t id = 2; id < 200; id++)
		begin_and_end(id, area);
	assert_int_equal(count_in("/proc/self/fd", NULL), fds);
	assert_true(count_in(NULL, "/proc/self/maps") < mappings + 50);
	/* but for what a thread that has found it may lock */
	assert_int_equal(budget.used[BUDGET_BOOKS], books + 198 * sizeof(struct mm));
	assert_int_equal(budget.used[BUDGET_MIRROR], memory);
	munmap(area, PAGES * P);
}

/* The mirror of @mm has all pages of @area but the last @lacking; each byte is @fill. */
static void fill_mirror(struct mm *mm, uint8_t *area, uint64_t lacking, uint8_t fill)
{
	const struct mirror_range range = { (uintptr_t)area, (uintptr_t)area + PAGES * P };
	const struct splice_vm_run run = { .addr = range.start, .nr_pages = PAGES };
	struct error err = { 0 };
	uint8_t page[P];

	memset(page, fill, P);
	assert_int_equal(mm_announce(mm, &range, 1, &err), 0);
	for (uint64_t i = 0; i < PAGES - lacking; i++)
		assert_int_equal(mirror_write(&mm->mirror, range.start + i * P, 1, page, &err), 0);
	assert_int_equal(mm_populate(mm, &run, 1, &err), 0);
}

static void seal(struct mm *mm, uint8_t *area)
{
	struct error err = { 0 };
	struct page_set lazy;

	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, (uintptr_t)area, PAGES, &err), 0);
	assert_int_equal(mm_seal(mm, &lazy, &err), 0);
	page_set_destroy(&lazy);
}

static void sums_are_of_all(void **state)
{
	struct mm *mms[] = { add(1, 100), add(2, 200) };
	uint8_t *areas[] = { area_new(), area_new() };
	struct counts counts;
	uint64_t have, lack;

	fill_mirror(mms[0], areas[0], 3, 1);
	fill_mirror(mms[1], areas[1], 4, 2);
	objects_final(&w.objects, &have, &lack);
	assert_int_equal(have, 2 * PAGES - 7);
	assert_int_equal(lack, 7);
	assert_true(mm_is_final(mms[1]));
	assert_false(objects_wait(&w.objects, 0));
	for (int i = 0; i < 2; i++)
		seal(mms[i], areas[i]);
	assert_int_equal(objects_wanted(&w.objects), 7);
	mms[0]->spaces.faults = 5;
	mms[1]->spaces.faults = 6;
	mms[0]->counts = (struct mm_counts){ .from_mirror = 10, .late = 4 };
	/* late ones that are not installed yet take nothing from the other's */
	mms[1]->counts = (struct mm_counts){ .from_mirror = 1, .late = 3 };
	objects_counts(&w.objects, &counts);
	assert_int_equal(counts.faults, 11);
	assert_int_equal(counts.precopy_pages, 6);
	/* a thread that waits is told that the migration is given up */
	objects_fail(&w.objects);
	assert_false(objects_wait(&w.objects, -1));
	for (int i = 0; i < 2; i++)
		munmap(areas[i], PAGES * P);
}

/*
 * COMMIT was received and the link lost, before anybody acted on either: COMMIT counts, and what is
 * here is installed, in each mm.
 */
static void all_are_populated(void **state)
{
	struct mm *mms[] = { add(1, 100), add(2, 200) };
	uint8_t *areas[] = { area_new(), area_new() };
	struct error err = { 0 };
	uint64_t have, lack;

	need_uffd();
	for (int i = 0; i < 2; i++)
		fill_mirror(mms[i], areas[i], 0, i + 1);
	objects_final(&w.objects, &have, &lack);
	objects_fail(&w.objects);
	assert_int_equal(populate_start(&w.populate, &err), 0);
	for (int i = 0; i < 2; i++) {
		seal(mms[i], areas[i]);
		assert_int_equal(spaces_attach(mms[i], make_uffd(areas[i], PAGES), &err), 0);
	}
	objects_ready(&w.objects);
	assert_true(objects_wait(&w.objects, LATER_MS));
	assert_false(atomic_load(&w.failed));
	assert_int_equal(objects_orphans(&w.objects), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mms[i]->counts.from_mirror, PAGES);
		for (uint64_t page = 0; page < PAGES; page++)
			assert_int_equal(areas[i][page * P], i + 1);
	}
	objects_close_uffds(&w.objects);
	for (int i = 0; i < 2; i++)
		munmap(areas[i], PAGES * P);
}

static void kick(void *ctx, struct mm *mm)
{
	faults_kick(&w.faults, mm);
}

static void thread_failed(void *ctx, const struct error *err)
{
}

/* Who asks for a page of one address space does not wait for the locks of all others. */
static void requests_pass_by_others(void **state)
{
	struct mm *other = add(1, 100), *mm = add(2, 200);
	struct conn urgent = CONN_NONE;
	struct frame frame = { 0 };
	struct error err = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	urgent.fd = pair[0];
	w.faults = (struct faults){ .objects = &w.objects, .urgent = &urgent,
				    .hooks = { .failed = thread_failed } };
	assert_int_equal(faults_init(&w.faults, &err), 0);
	mm->hooks.kick = kick;
	mm_lock(other);
	mm_lock(mm);
	assert_int_equal(wanted_add(&mm->wanted, P, 3, &err), 0);
	assert_int_equal(mm_request(mm, 0, 16, &err), 0);
	mm_unlock(mm);
	assert_int_equal(faults_start(&w.faults, &err), 0);
	assert_int_equal(frame_recv(CONN(pair[1]), LATER_MS, &frame, &err), 1);
	mm_unlock(other);
	assert_int_equal(frame.kind, FRAME_REQUEST);
	assert_int_equal(FRAME_OBJECT_OF(frame.cookie), 2);
	assert_int_equal(frame.nr_pages, 3);
	frame_free(&frame);
	faults_stop(&w.faults);
	faults_destroy(&w.faults);
	close(pair[0]);
	close(pair[1]);
}

/* The keeper, which would remove it, is dead; a folder could be exchanged for another one meanwhile. */
static void files_are_removed_by_name(void **state)
{
	char path[64], name[PATH_MAX];
	struct error err = { 0 };
	struct mm *mm;

	snprintf(path, sizeof(path), "/dev/shm/test-objects-%d", getpid());
	mm = objects_add_file(&w.objects, 1, path, &err);
	assert_non_null(mm);
	mirror_path(&mm->mirror, name);
	assert_int_equal(access(name, F_OK), 0);
	objects_remove_files(&w.objects);
	assert_int_equal(access(name, F_OK), -1);
	assert_true(mirror_path_is_plain(path));
	assert_false(mirror_path_is_plain("/dev/shm/folder/name"));
	assert_false(mirror_path_is_plain("/dev/shm/.."));
	assert_false(mirror_path_is_plain("/etc/shadow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ids_are_unique, set_up, tear_down),
		cmocka_unit_test_setup_teardown(budget_holds_to_the_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gone_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(walk_is_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(round_is_that_of_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_end_of_objects, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_pass_by_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gone_gives_all_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_are_of_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_are_populated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_are_removed_by_name, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
