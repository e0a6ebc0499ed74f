// SPDX-License-Identifier: GPL-2.0
/* Shared memory at the destination: the mirror is lent to the restore, and only when it is complete. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <xxhash.h>
#include "tests/shm_kit.h"

static void shm_test_adopted(void **state)
{
	struct bench *bench = *state;
	struct stat st;
	char byte;

	receive(bench, 0);
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), 0);
	assert_int_equal(fstat(lent, &st), 0);
	assert_int_equal(st.st_size, BYTES);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(pread(lent, &byte, 1, 3 * PAGE_BYTES + 99), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(objects_end_seal(&bench->objects, &bench->err), 0);
	/* F_SEAL_WRITE: nobody may have the memory mapped for writing */
	assert_int_equal(shm_give(&bench->shm, &bench->err), 0);
	assert_int_equal(fcntl(lent, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_WRITE);
	assert_int_equal(bench->mm->mirror.fd, -1);
}

static void shm_test_verify(void **state)
{
	static uint8_t page[PAGE_BYTES];
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *list = &run;
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;
	struct verify verify = { 0 };
	struct bench *bench = *state;
	uint64_t pages = 0;

	receive(bench, 0);
	bench->shm.compares = true;
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), 0);
	assert_int_equal(shm_give(&bench->shm, &bench->err), 0);
	digests.runs = &list;
	digests.n_runs = run.nr_pages = 1;
	digests.object = OBJECT;
	for (int i = 0; i < 4; i++) {
		memset(page, 0, sizeof(page));
		memset(page, 'x', i < 3 ? PAGE_BYTES : 100);
		run.addr = i * PAGE_BYTES;
		run.xxh3 = XXH3_64bits(page, PAGE_BYTES);
		assert_int_equal(verify_add(&verify, &digests, &bench->err), 0);
	}
	assert_int_equal(shm_verify(&bench->shm, &verify, &pages, &bench->err), 0);
	assert_int_equal(pages, 4);
	bench->shm.images[0].fd = dup(lent);
	verify.pieces[2].xxh3++;
	assert_int_equal(shm_verify(&bench->shm, &verify, &pages, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_VERIFY);
	assert_non_null(strstr(bench->err.what, "0x2000"));
	memset(&bench->err, 0, sizeof(bench->err));
	bench->shm.images[0].fd = dup(lent);
	verify.nr = 3;
	assert_int_equal(shm_verify(&bench->shm, &verify, &pages, &bench->err), -1);
	verify_free(&verify);
}

static void shm_test_incomplete(void **state)
{
	struct bench *bench = *state;

	receive(bench, 1);
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_int_equal(lent, -1);
}

/* CRIU would make the memory itself, and find no pages of it. */
static void shm_test_not_in_images(void **state)
{
	struct bench *bench = *state;

	receive(bench, 0);
	bench->said.shmid++;
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
	assert_int_equal(adopt(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

static void refused(struct bench *bench)
{
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

static void shm_test_untold(void **state)
{
	struct bench *bench = *state;

	bench->go.n_shared = 0;
	refused(bench);
}

static void shm_test_twice(void **state)
{
	struct bench *bench = *state;

	assert_non_null(objects_add_shm(&bench->objects, OBJECT + 1, "", 0, &bench->err));
	bench->go.n_shared = 2;
	refused(bench);
}

static void shm_test_of_an_mm(void **state)
{
	struct bench *bench = *state;

	assert_non_null(objects_add_mm(&bench->objects, OBJECT + 1, 7, &bench->err));
	bench->said.object = OBJECT + 1;
	refused(bench);
}

static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

/* It has its name from COMMIT on, and is gone with a migration that fails. */
static void shm_test_file(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-dest";
	struct bench *bench = *state;
	struct mirror mirror;
	int fd;

	unlink(path);
	assert_int_equal(mirror_open_file(&mirror, path, &bench->err), 0);
	assert_false(is_there(path));
	assert_int_equal(mirror_name(&mirror, &bench->err), 0);
	assert_true(is_there(path));
	mirror_close(&mirror);
	assert_false(is_there(path));
	assert_int_equal(mirror_open_file(&mirror, path, &bench->err), 0);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(mirror_name(&mirror, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	mirror_close(&mirror);
	assert_true(is_there(path));
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(mirror_open_file(&mirror, path, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	close(fd);
	unlink(path);
}

static void have_file(struct bench *bench, const char *path)
{
	const struct mirror_range all = { 0, 4 * PAGE_BYTES };

	unlink(path);
	objects_destroy(&bench->objects);
	objects_init(&bench->objects, &no_mm_hooks, NULL, NULL);
	bench->mm = objects_add_file(&bench->objects, OBJECT, path, &bench->err);
	assert_non_null(bench->mm);
	assert_int_equal(mm_announce(bench->mm, &all, 1, &bench->err), 0);
	receive(bench, 0);
	bench->said.shmid = 0;
	bench->said.bytes = BYTES;
	bench->said.uid = bench->said.gid = 65534;
	bench->said.mode = 0640;
	assert_int_equal(shm_take(&bench->shm, &bench->go, &bench->err), 0);
}

/* Its owner could exchange it before CRIU opens it, as root. */
static void shm_test_file_has_no_owner_before_its_name(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-dest";
	struct bench *bench = *state;
	struct stat st;

	have_file(bench, path);
	/* the images do not have it */
	adopt(bench);
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(fstat(bench->mm->mirror.fd, &st), 0);
	assert_int_equal(st.st_size, BYTES);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(shm_name(&bench->shm, &bench->err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65534);
	assert_int_equal(st.st_mode & 07777, 0640);
	objects_remove_files(&bench->objects);
}

/* One of root would be there for a moment, with bytes of another user. */
static void shm_test_set_id_is_refused(void **state)
{
	struct bench *bench = *state;

	have_file(bench, "/dev/shm/migrate-test-dest");
	bench->shm.images[0].attributes.mode = 04755;
	assert_int_equal(adopt(bench), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	objects_remove_files(&bench->objects);
}

static void shm_test_moved_away(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-dest", folder[] = "/dev/shm/migrate-test-folder",
			  moved[] = "/dev/shm/migrate-test-folder/x";
	struct bench *bench = *state;
	char name[PATH_MAX];

	have_file(bench, path);
	mirror_path(&bench->mm->mirror, name);
	mkdir(folder, 0700);
	assert_int_equal(rename(name, moved), 0);
	assert_int_equal(adopt(bench), -1);
	assert_string_equal(bench->err.what, "a file of /dev/shm was moved away");
	unlink(moved);
	rmdir(folder);
	objects_remove_files(&bench->objects);
}

/* Another program makes the file while the tasks are restored. */
static void shm_test_name_is_taken(void **state)
{
	static const char path[] = "/dev/shm/migrate-test-dest";
	struct bench *bench = *state;
	struct shm_image image = { 0 };
	const struct shm shm = { .images = &image, .nr = 1 };
	int fd;

	unlink(path);
	image.mm = objects_add_file(&bench->objects, OBJECT + 1, path, &bench->err);
	assert_non_null(image.mm);
	assert_int_equal(shm_check_names(&shm, &bench->err), 0);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(shm_check_names(&shm, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	assert_non_null(strstr(bench->err.what, path));
	close(fd);
	unlink(path);
	objects_remove_files(&bench->objects);
}

static void shm_test_paths(void **state)
{
	static const char *const bad[] = {
		"/dev/shm/", "/dev/shm/a/b", "/dev/shm/../a", "/dev/shm/.migrate-1", "/etc/passwd", "",
	};
	struct mirror mirror;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = { 0 };

		assert_int_equal(mirror_open_file(&mirror, bad[i], &err), -1);
		assert_int_equal(err.code, CODE_PEER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shm_test_adopted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_verify, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_incomplete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_not_in_images, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_untold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_of_an_mm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_name_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_file_has_no_owner_before_its_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_set_id_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_moved_away, set_up, tear_down),
		cmocka_unit_test(shm_test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
