// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "tests/criu_images.h"

static int setup(void **state)
{
	static struct test_dir dir;

	dir_make(&dir);
	*state = &dir;
	return 0;
}

static int teardown(void **state)
{
	dir_remove(*state);
	return 0;
}

/* Fields that are not in our images.proto come back byte for byte. */
static void test_unknown_fields_stay(void **state)
{
	static const uint8_t record[] = {
		0x08, 0x80, 0x20,		/* vaddr = 4096 */
		0x10, 0x03,			/* nr_pages = 3 */
		0x20, 0x04,			/* flags = PRESENT */
		0x98, 0x06, 0x2a,		/* field 99 = 42 */
		0xa2, 0x06, 0x02, 'h', 'i',	/* field 100 = "hi" */
	};
	struct test_dir *dir = *state;
	uint8_t file[12 + sizeof(record)], copy[64];
	uint32_t head[3] = { IMAGE_COMMON, IMAGE_PAGEMAP, sizeof(record) };
	struct error err = { 0 };
	struct image_out out;
	struct image image;
	ProtobufCMessage *msg;

	memcpy(file, head, 12);
	memcpy(file + 12, record, sizeof(record));
	file_write(dir->fd, "a.img", file, sizeof(file));
	assert_int_equal(image_open(&image, dir->fd, "a.img", IMAGE_PAGEMAP, &err), 0);
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), 1);
	assert_int_equal(((Img__PagemapEntry *)msg)->nr_pages, 3);
	assert_int_equal(msg->n_unknown_fields, 2);
	image_out_init(&out, IMAGE_PAGEMAP);
	image_out_add(&out, msg);
	assert_int_equal(image_out_store(&out, dir->fd, "b.img", &err), 0);
	assert_int_equal(file_read(dir->fd, "b.img", copy, sizeof(copy)), sizeof(file));
	assert_memory_equal(copy, file, sizeof(file));
	protobuf_c_message_free_unpacked(msg, NULL);
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), 0);
	image_out_free(&out);
	image_close(&image);
}

/* Only a record that certainly is another one is skipped: for all else image_next() has the word. */
static void test_others_are_skipped(void **state)
{
	static const uint8_t records[] = {
		5, 0, 0, 0, 0x08, 0x80, 0x20, 0x10, 0x03,	/* vaddr = 4096 */
		4, 0, 0, 0, 0x08, 0x4d, 0x10, 0x03,		/* vaddr = 77 */
		4, 0, 0, 0, 0x08, 0x4e, 0x10, 0x03,		/* vaddr = 78 */
		4, 0, 0, 0, 0x10, 0x03, 0x08, 0x4f,		/* nr_pages first, vaddr = 79 */
		2, 0, 0, 0, 0x08, 0x80,				/* cut short */
	};
	const uint32_t magic[] = { IMAGE_COMMON, IMAGE_PAGEMAP };
	struct test_dir *dir = *state;
	uint8_t file[sizeof(magic) + sizeof(records)];
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;

	memcpy(file, magic, sizeof(magic));
	memcpy(file + sizeof(magic), records, sizeof(records));
	file_write(dir->fd, "a.img", file, sizeof(file));
	assert_int_equal(image_open(&image, dir->fd, "a.img", IMAGE_PAGEMAP, &err), 0);
	image_skip_others(&image, 4096);
	assert_int_equal(image.at, 8);
	image_skip_others(&image, 78);
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), 1);
	assert_int_equal(((Img__PagemapEntry *)msg)->vaddr, 78);
	protobuf_c_message_free_unpacked(msg, NULL);
	image_skip_others(&image, 80);
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), 1);
	assert_int_equal(((Img__PagemapEntry *)msg)->vaddr, 79);
	protobuf_c_message_free_unpacked(msg, NULL);
	image_skip_others(&image, 80);
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), -1);
	image_close(&image);
}

static void test_many_records(void **state)
{
	struct test_dir *dir = *state;
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image_out out;
	struct image image;

	image_out_init(&out, IMAGE_PAGEMAP);
	for (uint64_t i = 0; i < 5000; i++)
		pagemap_put(&out, i * 2 * PAGE_BYTES, 1, PAGEMAP_LAZY);
	assert_int_equal(image_out_store(&out, dir->fd, "many.img", &err), 0);
	image_out_free(&out);
	assert_int_equal(image_open(&image, dir->fd, "many.img", IMAGE_PAGEMAP, &err), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg,
					    &err), 1);
		assert_int_equal(((Img__PagemapEntry *)msg)->vaddr, i * 2 * PAGE_BYTES);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	assert_int_equal(image_next(&image, &img__pagemap_entry__descriptor, &msg, &err), 0);
	image_close(&image);
}

static int open_bytes(int dir_fd, const void *data, size_t bytes, struct error *err)
{
	ProtobufCMessage *msg;
	int ret;

	file_write(dir_fd, "bad.img", data, bytes);
	ret = image_read_one(dir_fd, "bad.img", IMAGE_PAGEMAP,
			     &img__pagemap_entry__descriptor, &msg, err);
	if (!ret)
		protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int truncate_at(int dir_fd, const char *name, off_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC), ret = ftruncate(fd, bytes);

	close(fd);
	return ret;
}

static bool is_mapped(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, name) != NULL;
	fclose(maps);
	return found;
}

/* What was announced of images is paid for once: reading one takes no memory besides, but for a small one. */
static void test_not_copied(void **state)
{
	struct test_dir *dir = *state;
	struct error err = { 0 };
	struct image_out out;
	struct image image;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put(&out, 0, 1, PAGEMAP_LAZY);
	assert_int_equal(image_out_store(&out, dir->fd, "small.img", &err), 0);
	while (out.bytes <= 64 << 10)
		pagemap_put(&out, 0, 1, PAGEMAP_LAZY);
	assert_int_equal(image_out_store(&out, dir->fd, "mapped.img", &err), 0);
	image_out_free(&out);
	assert_int_equal(image_open(&image, dir->fd, "small.img", IMAGE_PAGEMAP, &err), 0);
	assert_false(is_mapped("small.img"));
	image_close(&image);
	assert_int_equal(image_open(&image, dir->fd, "mapped.img", IMAGE_PAGEMAP, &err), 0);
	assert_true(is_mapped("mapped.img"));
	image_close(&image);
	assert_false(is_mapped("mapped.img"));
}

/* The cost of reading and writing one anew is reserved up to this size. */
static void test_too_large(void **state)
{
	struct test_dir *dir = *state;
	struct error err = { 0 };
	struct image image;

	file_write(dir->fd, "large.img", "", 1);
	assert_int_equal(truncate_at(dir->fd, "large.img", IMAGE_BYTES_MAX + 1), 0);
	assert_int_equal(image_open(&image, dir->fd, "large.img", IMAGE_PAGEMAP, &err), -1);
	assert_non_null(strstr(err.what, "sensible size"));
}

static void test_damaged(void **state)
{
	struct test_dir *dir = *state;
	static const uint32_t other[] = { IMAGE_COMMON, IMAGE_MM, 0 };
	static const uint32_t cut[] = { IMAGE_COMMON, IMAGE_PAGEMAP, 100, 0x08 };
	static const uint32_t huge[] = { IMAGE_COMMON, IMAGE_PAGEMAP, ~0U, 0x08 };
	static const uint32_t required[] = { IMAGE_COMMON, IMAGE_PAGEMAP, 0 };
	struct { const void *data; size_t bytes; } cases[] = {
		{ "", 0 }, { "abc", 3 }, { other, 4 }, { other, 7 }, { other, 12 },
		{ cut, 8 }, { cut, 9 }, { cut, 16 }, { huge, 16 }, { required, 12 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };

		assert_int_equal(open_bytes(dir->fd, cases[i].data, cases[i].bytes, &err), -1);
		assert_int_equal(err.code, CODE_CRIU);
	}
}

/* Unpacked it would take many times as much, which nobody has announced. */
static void test_long_record(void **state)
{
	struct test_dir *dir = *state;
	size_t bytes = 12 + IMAGE_RECORD_MAX + 1;
	uint32_t *data = calloc(1, bytes);
	struct error err = { 0 };

	data[0] = IMAGE_COMMON;
	data[1] = IMAGE_PAGEMAP;
	data[2] = IMAGE_RECORD_MAX + 1;
	assert_int_equal(open_bytes(dir->fd, data, bytes, &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
	assert_non_null(strstr(err.what, "more than"));
	free(data);
}

/* Each signal is a field that stands there once more: its list is copied for each, unless there is a limit. */
static void test_merged_lists(void **state)
{
	static const uint8_t signal[] = { 0x2a, 0x06, 0x4a, 0x04, 0x0a, 0x02, 0x0a, 0x00 };
	const uint32_t nr = 1U << 20, bytes = nr * sizeof(signal);
	const uint32_t head[3] = { IMAGE_COMMON, IMAGE_CORE, bytes };
	struct test_dir *dir = *state;
	uint8_t *file = malloc(sizeof(head) + bytes);
	struct error err = { 0 };
	struct image image;
	ProtobufCMessage *msg;

	assert_non_null(file);
	memcpy(file, head, sizeof(head));
	for (uint32_t i = 0; i < nr; i++)
		memcpy(file + sizeof(head) + i * sizeof(signal), signal, sizeof(signal));
	file_write(dir->fd, "core-1.img", file, sizeof(head) + bytes);
	assert_int_equal(image_open(&image, dir->fd, "core-1.img", IMAGE_CORE, &err), 0);
	assert_int_equal(image_next(&image, &img__core_entry__descriptor, &msg, &err), -1);
	image_close(&image);
	free(file);
}

static void test_not_a_file(void **state)
{
	struct test_dir *dir = *state;
	struct error err = { 0 }, err2 = { 0 };
	struct image image;

	mkdirat(dir->fd, "sub", 0700);
	assert_int_equal(image_open(&image, dir->fd, "sub", IMAGE_MM, &err), -1);
	assert_int_equal(symlinkat("/etc/passwd", dir->fd, "link"), 0);
	assert_int_equal(image_open(&image, dir->fd, "link", IMAGE_MM, &err2), -1);
	assert_true(error_is_set(&err2));
}

/* Random bytes where each of the readers looks: errors, never more. */
static void test_garbage(void **state)
{
	static const uint32_t magics[] = { IMAGE_CORE, IMAGE_MM, IMAGE_PAGEMAP, IMAGE_PSTREE };
	static const char *const names[] = { "core-77.img", "mm-77.img", "pagemap-77.img",
					     "pstree.img" };
	struct test_dir *dir = *state;
	uint32_t data[64], tids[] = { TEST_PID };

	srandom(7);
	for (int round = 0; round < 2000; round++) {
		int victim = round % 4;
		struct error err = { 0 };
		struct criu_task task;

		pstree_write(dir->fd, tids, 1);
		core_write(dir->fd, TEST_PID, 1, 0);
		mm_write(dir->fd, NULL, 0);
		for (size_t i = 0; i < 64; i++)
			data[i] = random();
		data[0] = IMAGE_COMMON;
		data[1] = magics[victim];
		data[2] = random() % 64;
		file_write(dir->fd, names[victim], data, 12 + random() % (sizeof(data) - 12));
		if (!criu_task_read(dir->fd, TEST_PID, &task, &err))
			criu_task_free(&task);
		else
			assert_true(error_is_set(&err));
	}
}

/* Bits that flip in sound images. */
static void test_flipped(void **state)
{
	static const char *const names[] = { "core-77.img", "mm-77.img", "pstree.img" };
	static const struct test_vma vmas[] = {
		{ 0x1000, 0x5000, FLAGS_ANON, STATUS_REGULAR },
		{ 0x5000, 0x9000, FLAGS_FILE, STATUS_REGULAR },
	};
	struct test_dir *dir = *state;
	uint32_t tids[] = { TEST_PID };
	uint8_t data[512];

	for (int victim = 0; victim < 3; victim++) {
		size_t bytes = 1;

		for (size_t bit = 0; bit < bytes * 8; bit++) {
			struct error err = { 0 };
			struct criu_task task;

			pstree_write(dir->fd, tids, 1);
			core_write(dir->fd, TEST_PID, 1, 0x2000);
			mm_write(dir->fd, vmas, 2);
			bytes = file_read(dir->fd, names[victim], data, sizeof(data));
			data[bit / 8] ^= 1 << bit % 8;
			file_write(dir->fd, names[victim], data, bytes);
			if (!criu_task_read(dir->fd, TEST_PID, &task, &err))
				criu_task_free(&task);
		}
	}
}

static void test_parent(void **state)
{
	struct test_dir *dir = *state;
	struct pagemap_entry entries[256];
	struct error err = { 0 };
	ProtobufCMessage *msg;
	Img__InventoryEntry *inventory;
	uint64_t at = 0;
	struct stat st;
	size_t nr;

	assert_int_equal(criu_parent_write(dir->fd, &err), 0);
	assert_int_equal(criu_parent_add(dir->fd, TEST_PID, &err), 0);
	assert_int_equal(fstatat(dir->fd, "pages-1.img", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	nr = pagemap_list(dir->fd, entries, 256);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(entries[i].addr, at);
		assert_int_equal(entries[i].flags, PAGEMAP_PRESENT);
		assert_true(entries[i].nr_pages <= PAGEMAP_PAGES_MAX);
		at += entries[i].nr_pages * PAGE_BYTES;
	}
	assert_int_equal(at, USER_END);
	assert_int_equal(image_read_one(dir->fd, "inventory.img", IMAGE_INVENTORY,
					&img__inventory_entry__descriptor, &msg, &err), 0);
	inventory = (Img__InventoryEntry *)msg;
	assert_int_equal(inventory->img_version, 2);
	assert_true(inventory->dump_uptime > 1000000);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unknown_fields_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flipped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
