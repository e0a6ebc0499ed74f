// SPDX-License-Identifier: GPL-2.0
/* Images that are made to name a memfd which is here. */
#define _GNU_SOURCE
#include "criu/adopt.h"
#include "tests/criu_images.h"

#define TYPE_REG	1
#define TYPE_MEMFD	18
#define STATUS_MEMFD	(1U << 14)
#define STATUS_SHARED	(1U << 7)

static uint8_t fown[] = { 8, 0 };

struct bench {
	struct test_dir dir;
	struct image_out files, memfds, fds;
	struct error err;
};

/* Memfd @inode with the record @id of files.img, descriptor @id of the task. */
static void add(struct bench *bench, uint32_t inode, uint32_t id)
{
	Img__MemfdInodeEntry memfd = IMG__MEMFD_INODE_ENTRY__INIT;
	Img__MemfdFileEntry of = IMG__MEMFD_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__FdinfoEntry fd = IMG__FDINFO_ENTRY__INIT;

	memfd.name = "a memfd";
	memfd.size = 5000;
	memfd.shmid = 0x400 + inode;
	memfd.seals = 6;
	memfd.uid = 7;
	memfd.inode_id = inode;
	image_out_add(&bench->memfds, &memfd.base);
	of.id = id;
	of.flags = O_RDWR;
	of.pos = 11;
	of.fown.data = fown;
	of.fown.len = sizeof(fown);
	of.inode_id = inode;
	file.has_type = file.has_id = true;
	file.type = TYPE_MEMFD;
	file.id = id;
	file.memfd = &of;
	image_out_add(&bench->files, &file.base);
	fd.id = fd.fd = id;
	fd.type = TYPE_MEMFD;
	image_out_add(&bench->fds, &fd.base);
}

static void add_named(struct bench *bench, uint32_t id, const char *name)
{
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	reg.id = id;
	reg.name = (char *)name;
	file.has_type = file.has_id = true;
	file.type = TYPE_REG;
	file.id = id;
	file.reg = &reg;
	image_out_add(&bench->files, &file.base);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	Img__VmaEntry vmas[2] = { IMG__VMA_ENTRY__INIT, IMG__VMA_ENTRY__INIT };
	Img__VmaEntry *list[2] = { &vmas[0], &vmas[1] };
	Img__MmEntry mm = IMG__MM_ENTRY__INIT;

	*state = bench;
	dir_make(&bench->dir);
	image_out_init(&bench->files, IMAGE_FILES);
	image_out_init(&bench->memfds, IMAGE_MEMFD);
	image_out_init(&bench->fds, IMAGE_FDINFO);
	add(bench, 1, 21);
	add(bench, 2, 22);
	add_named(bench, 23, "/dev/shm/a file");
	add_named(bench, 24, "/dev/shm/another");
	for (int i = 0; i < 2; i++) {
		vmas[i].start = (16 + i) * PAGE_BYTES;
		vmas[i].end = (17 + i) * PAGE_BYTES;
		vmas[i].has_shmid = true;
		vmas[i].shmid = 21 + i;
		vmas[i].status = STATUS_REGULAR | STATUS_SHARED | STATUS_MEMFD;
	}
	mm.vmas = list;
	mm.n_vmas = 2;
	one_record(bench->dir.fd, "mm-77.img", IMAGE_MM, &mm.base);
	return image_out_store(&bench->files, bench->dir.fd, "files.img", &bench->err) ||
	       image_out_store(&bench->memfds, bench->dir.fd, "memfd.img", &bench->err) ||
	       image_out_store(&bench->fds, bench->dir.fd, "fdinfo-2.img", &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	image_out_free(&bench->files);
	image_out_free(&bench->memfds);
	image_out_free(&bench->fds);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static void check_file(struct image *image, uint32_t id, const char *path)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	Img__FileEntry *file;

	assert_int_equal(image_next(image, &img__file_entry__descriptor, &msg, &err), 1);
	file = (Img__FileEntry *)msg;
	assert_int_equal(file->id, id);
	assert_int_equal(file->type, path ? TYPE_REG : TYPE_MEMFD);
	assert_int_equal(!file->reg, !path);
	assert_int_equal(!file->memfd, !!path);
	if (path) {
		assert_string_equal(file->reg->name, path);
		assert_int_equal(file->reg->flags, O_RDWR);
		assert_int_equal(file->reg->pos, 11);
		assert_int_equal(file->reg->fown.len, sizeof(fown));
		assert_false(file->reg->has_size);
	}
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void check_named(struct image *image, const char *name)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;

	assert_int_equal(image_next(image, &img__file_entry__descriptor, &msg, &err), 1);
	assert_string_equal(((Img__FileEntry *)msg)->reg->name, name);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void check_descriptors(struct bench *bench)
{
	const uint32_t types[] = { TYPE_REG, TYPE_MEMFD };
	ProtobufCMessage *msg;
	struct image image;

	assert_int_equal(image_open(&image, bench->dir.fd, "fdinfo-2.img", IMAGE_FDINFO, &bench->err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(image_next(&image, &img__fdinfo_entry__descriptor, &msg,
					    &bench->err), 1);
		assert_int_equal(((Img__FdinfoEntry *)msg)->type, types[i]);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
}

static void check_mappings(struct bench *bench)
{
	ProtobufCMessage *msg;
	Img__MmEntry *mm;

	assert_int_equal(image_read_one(bench->dir.fd, "mm-77.img", IMAGE_MM,
					&img__mm_entry__descriptor, &msg, &bench->err), 0);
	mm = (Img__MmEntry *)msg;
	assert_int_equal(mm->vmas[0]->status, STATUS_REGULAR | STATUS_SHARED);
	assert_int_equal(mm->vmas[1]->status, STATUS_REGULAR | STATUS_SHARED | STATUS_MEMFD);
	protobuf_c_message_free_unpacked(msg, NULL);
}

/* The first one is here, and CRIU makes the second one itself. */
static void adopt_test(void **state)
{
	struct bench *bench = *state;
	const pid_t pid = TEST_PID;
	struct criu_named file = { .name = "/dev/shm/a file", .path = "/proc/1/fd/10" };
	struct criu_adopt adopt = { .files = &file, .nr_files = 1, .pids = &pid, .nr_pids = 1 };
	struct criu_memfd *list;
	struct image image;
	size_t nr;

	assert_int_equal(criu_memfds_read(bench->dir.fd, &list, &nr, &bench->err), 0);
	assert_int_equal(nr, 2);
	adopt.memfds = list;
	adopt.nr_memfds = nr;
	assert_int_equal(list[0].shmid, 0x401);
	assert_int_equal(list[0].bytes, 5000);
	assert_int_equal(list[0].seals, 6);
	assert_int_equal(list[0].uid, 7);
	strcpy(list[0].path, "/proc/1/fd/9");
	assert_int_equal(criu_adopt(bench->dir.fd, &adopt, &bench->err), 0);
	free(list);
	assert_int_equal(image_open(&image, bench->dir.fd, "files.img", IMAGE_FILES, &bench->err), 0);
	check_file(&image, 21, "/proc/1/fd/9");
	check_file(&image, 22, NULL);
	check_named(&image, "/proc/1/fd/10");
	check_named(&image, "/dev/shm/another");
	image_close(&image);
	check_descriptors(bench);
	check_mappings(bench);
}

static void adopt_test_none(void **state)
{
	struct bench *bench = *state;
	struct criu_memfd *list;
	size_t nr = 5;

	assert_int_equal(unlinkat(bench->dir.fd, "memfd.img", 0), 0);
	assert_int_equal(criu_memfds_read(bench->dir.fd, &list, &nr, &bench->err), 0);
	assert_int_equal(nr, 0);
	assert_null(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adopt_test, set_up, tear_down),
		cmocka_unit_test_setup_teardown(adopt_test_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
