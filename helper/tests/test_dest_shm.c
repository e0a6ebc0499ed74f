// SPDX-License-Identifier: GPL-2.0
/* Shared memory at the destination: the mirror is lent to the restore, and only when it is complete. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>
#include "criu/pagemap.h"
#include "dest/shm.h"
#include "tests/criu_images.h"
#include "tests/mm_hooks.h"

#define OBJECT		5
#define SHMID		0x40a
#define TYPE_MEMFD	18
#define BYTES		(3 * PAGE_BYTES + 100)

static int lent = -1;

/* In place of the keeper's: the init of a namespace would have the descriptor. */
int keeper_lend(struct keeper *keeper, int fd, int *number, struct error *err)
{
	lent = dup(fd);
	*number = 9;
	return 0;
}

struct bench {
	struct test_dir dir;
	struct objects objects;
	struct shm shm;
	struct mm *mm;
	Migrate__SharedMemory said, *list[2];
	Migrate__RestoreGo go;
	struct error err;
};

static void images_write(struct bench *bench)
{
	Img__MemfdInodeEntry memfd = IMG__MEMFD_INODE_ENTRY__INIT;
	Img__MemfdFileEntry of = IMG__MEMFD_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__MmEntry mm = IMG__MM_ENTRY__INIT;

	memfd.name = "an object";
	memfd.size = BYTES;
	memfd.shmid = SHMID;
	memfd.seals = F_SEAL_SHRINK | F_SEAL_WRITE;
	memfd.has_mode = true;
	memfd.mode = S_IFREG | 0640;
	memfd.inode_id = 1;
	one_record(bench->dir.fd, "memfd.img", IMAGE_MEMFD, &memfd.base);
	file.has_type = file.has_id = true;
	file.type = TYPE_MEMFD;
	file.id = of.id = 3;
	of.inode_id = 1;
	file.memfd = &of;
	one_record(bench->dir.fd, "files.img", IMAGE_FILES, &file.base);
	one_record(bench->dir.fd, "mm-77.img", IMAGE_MM, &mm.base);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	const struct mirror_range all = { 0, 4 * PAGE_BYTES };

	*state = bench;
	dir_make(&bench->dir);
	images_write(bench);
	objects_init(&bench->objects, &no_mm_hooks, NULL, NULL);
	bench->mm = objects_add_shm(&bench->objects, OBJECT, "an object", MFD_ALLOW_SEALING, &bench->err);
	bench->shm.objects = &bench->objects;
	migrate__shared_memory__init(&bench->said);
	migrate__restore_go__init(&bench->go);
	bench->said.object = OBJECT;
	bench->said.shmid = SHMID;
	bench->list[0] = bench->list[1] = &bench->said;
	bench->go.shared = bench->list;
	bench->go.n_shared = 1;
	return !bench->mm || mm_announce(bench->mm, &all, 1, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	objects_destroy(&bench->objects);
	free(bench->shm.images);
	if (lent >= 0)
		close(lent);
	lent = -1;
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

/* Pages @from to 3 come, and all four are listed. */
static void receive(struct bench *bench, uint32_t from)
{
	const struct splice_vm_run come = { .addr = from * PAGE_BYTES, .nr_pages = 4 - from };
	const struct splice_vm_run all = { .nr_pages = 4 };
	struct mirror_windows *windows;
	uint64_t have, lack;

	assert_int_equal(mm_begin_receive(bench->mm, &come, 1, &windows, &bench->err), 0);
	memset(mirror_windows_at(windows, come.addr, come.nr_pages), 'x', come.nr_pages * PAGE_BYTES);
	assert_int_equal(mm_end_receive(bench->mm, windows, &come, 1, &bench->err), 0);
	assert_int_equal(mm_populate(bench->mm, &all, 1, &bench->err), 0);
	mm_final(bench->mm, &have, &lack);
	assert_int_equal(lack, from);
}

static int adopt(struct bench *bench)
{
	const pid_t pid = TEST_PID;

	return shm_adopt(&bench->shm, bench->dir.fd, &pid, 1, &bench->err);
}

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
		cmocka_unit_test_setup_teardown(shm_test_segment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_is_compared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_is_shorter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_that_came_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_segment_of_that_number, set_up, tear_down),
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
