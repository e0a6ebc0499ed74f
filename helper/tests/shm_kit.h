/* SPDX-License-Identifier: GPL-2.0 */
/* Shared memory at the destination: an object, its mirror, and images that name it. Included by one test. */
#ifndef MIGRATE_TESTS_SHM_KIT_H
#define MIGRATE_TESTS_SHM_KIT_H

#include <fcntl.h>
#include <sys/stat.h>
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

#endif
