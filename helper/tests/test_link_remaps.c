// SPDX-License-Identifier: GPL-2.0
/* The names that CRIU's link-remap has made, after a dump that was undone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include "source/link_remaps.h"
#include "tests/criu_images.h"

#define LINKED	0
#define GHOST	1

/** struct kit - @files: the program's directory */
struct kit {
	struct test_dir images, files;
	struct image_out records, remaps;
	uint32_t last_id;
};

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	*state = kit;
	dir_make(&kit->images);
	dir_make(&kit->files);
	image_out_init(&kit->records, IMAGE_FILES);
	image_out_init(&kit->remaps, IMAGE_REMAP_FPATH);
	return 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	image_out_free(&kit->records);
	image_out_free(&kit->remaps);
	dir_remove(&kit->images);
	dir_remove(&kit->files);
	free(kit);
	return 0;
}

/* A file of the program with two names, of which @name is in the images, as a remap or not. */
static void add(struct kit *kit, const char *name, int remap)
{
	Img__RemapFilePathEntry entry = IMG__REMAP_FILE_PATH_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	char path[256], other[64];

	snprintf(path, sizeof(path), "%s/%s", kit->files.path, name);
	snprintf(other, sizeof(other), "other-%u", ++kit->last_id);
	file_write(kit->files.fd, name, "", 0);
	assert_int_equal(linkat(kit->files.fd, name, kit->files.fd, other, 0), 0);
	file.has_type = file.has_id = true;
	file.type = 1;
	file.id = reg.id = kit->last_id;
	reg.name = path;
	file.reg = &reg;
	image_out_add(&kit->records, &file.base);
	if (remap < 0)
		return;
	entry.orig_id = 1000 + kit->last_id;
	entry.remap_id = kit->last_id;
	entry.has_remap_type = remap != LINKED;
	entry.remap_type = remap;
	image_out_add(&kit->remaps, &entry.base);
}

static void store(struct kit *kit)
{
	struct error err = { 0 };

	assert_int_equal(image_out_store(&kit->records, kit->images.fd, "files.img", &err), 0);
	assert_int_equal(image_out_store(&kit->remaps, kit->images.fd, "remap-fpath.img", &err), 0);
}

static bool has(const struct kit *kit, const char *name)
{
	return !faccessat(kit->files.fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void what_criu_made_is_removed(void **state)
{
	struct kit *kit = *state;

	add(kit, "link_remap.1", LINKED);
	/* the program's own files, whatever they are called */
	add(kit, "link_remap.2", -1);
	add(kit, "link_remap.3", GHOST);
	add(kit, "log", LINKED);
	store(kit);
	link_remaps_remove(kit->images.fd);
	assert_false(has(kit, "link_remap.1"));
	assert_true(has(kit, "other-1"));
	assert_true(has(kit, "link_remap.2"));
	assert_true(has(kit, "link_remap.3"));
	assert_true(has(kit, "log"));
	/* they are gone, and there is nothing to say */
	link_remaps_remove(kit->images.fd);
}

/* It would be the end of the file. */
static void a_last_name_stays(void **state)
{
	struct kit *kit = *state;

	add(kit, "link_remap.1", LINKED);
	store(kit);
	assert_int_equal(unlinkat(kit->files.fd, "other-1", 0), 0);
	link_remaps_remove(kit->images.fd);
	assert_true(has(kit, "link_remap.1"));
}

static void a_dump_without_them(void **state)
{
	struct kit *kit = *state;

	link_remaps_remove(kit->images.fd);
	add(kit, "log", -1);
	store(kit);
	assert_int_equal(unlinkat(kit->images.fd, "remap-fpath.img", 0), 0);
	link_remaps_remove(kit->images.fd);
	assert_true(has(kit, "log"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_criu_made_is_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_last_name_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dump_without_them, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
