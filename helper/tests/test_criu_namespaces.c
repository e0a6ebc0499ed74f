// SPDX-License-Identifier: GPL-2.0
/* What images tell beside tasks and memory: namespaces, paths; and the figures of a pre-dump. */
#define _GNU_SOURCE
#include "criu/names.h"
#include "criu/namespaces.h"
#include "criu/stats.h"
#include "tests/criu_images.h"

static struct test_dir dir;

static int set_up(void **state)
{
	dir_make(&dir);
	return 0;
}

static int tear_down(void **state)
{
	dir_remove(&dir);
	return 0;
}

static void a_task_has_its_own_numbers(void **state)
{
	Img__TaskKobjIdsEntry ids = IMG__TASK_KOBJ_IDS_ENTRY__INIT;
	Img__InventoryEntry inventory = IMG__INVENTORY_ENTRY__INIT;
	struct criu_namespaces task, criu;
	struct error err = { 0 };

	inventory.img_version = 2;
	one_record(dir.fd, "inventory.img", IMAGE_INVENTORY, &inventory.base);
	assert_int_equal(criu_namespaces_of_criu(dir.fd, &criu, &err), -1);
	ids.has_pid_ns_id = ids.has_user_ns_id = true;
	ids.pid_ns_id = 3;
	ids.user_ns_id = 9;
	inventory.root_ids = &ids;
	one_record(dir.fd, "inventory.img", IMAGE_INVENTORY, &inventory.base);
	assert_int_equal(criu_namespaces_of_criu(dir.fd, &criu, &err), 0);
	ids.pid_ns_id = 4;
	one_record(dir.fd, "ids-77.img", IMAGE_IDS, &ids.base);
	assert_int_equal(criu_namespaces_of(dir.fd, TEST_PID, &task, &err), 0);
	assert_int_equal(criu.ids[CRIU_NS_PID], 3);
	assert_int_equal(task.ids[CRIU_NS_PID], 4);
	assert_int_equal(task.ids[CRIU_NS_USER], 9);
	/* what the images do not have */
	assert_int_equal(task.ids[CRIU_NS_MOUNT], 0);
	assert_int_equal(criu_namespaces_of(dir.fd, TEST_PID + 1, &task, &err), -1);
}

static void maps_are_checked(void **state)
{
	Img__UidGidExtent extent = IMG__UID_GID_EXTENT__INIT, *list[] = { &extent, &extent };
	Img__UsernsEntry maps = IMG__USERNS_ENTRY__INIT;
	struct id_map uids, gids;
	struct error err = { 0 };

	extent.lower_first = 100000;
	extent.count = 65536;
	maps.uid_map = maps.gid_map = list;
	maps.n_uid_map = maps.n_gid_map = 1;
	one_record(dir.fd, "userns-9.img", IMAGE_USERNS, &maps.base);
	assert_int_equal(criu_namespaces_maps(dir.fd, 9, &uids, &gids, &err), 0);
	assert_int_equal(uids.nr, 1);
	assert_int_equal(gids.ranges[0].outside, 100000);
	/* an id that is there twice */
	maps.n_gid_map = 2;
	one_record(dir.fd, "userns-9.img", IMAGE_USERNS, &maps.base);
	assert_int_equal(criu_namespaces_maps(dir.fd, 9, &uids, &gids, &err), -1);
	assert_int_equal(criu_namespaces_maps(dir.fd, 8, &uids, &gids, &err), -1);
}

static void add_file(struct image_out *out, uint32_t id, const char *name)
{
	Img__FileEntry entry = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;

	entry.id = reg.id = id;
	reg.name = (char *)name;
	entry.reg = &reg;
	image_out_add(out, &entry.base);
}

static void each_path_is_there_once(void **state)
{
	struct criu_names names;
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_FILES);
	add_file(&out, 1, "/lib/c");
	add_file(&out, 2, "/bin/a");
	add_file(&out, 3, "/lib/c");
	assert_int_equal(image_out_store(&out, dir.fd, "files.img", &err), 0);
	image_out_free(&out);
	assert_int_equal(criu_names_read(dir.fd, &names, &err), 0);
	assert_int_equal(names.nr, 2);
	assert_string_equal(names.list[0], "/bin/a");
	assert_string_equal(names.list[1], "/lib/c");
	criu_names_free(&names);
	/* none was made by CRIU */
	assert_int_equal(criu_names_read_links(dir.fd, &names, &err), 0);
	assert_int_equal(names.nr, 0);
}

static void figures_are_written(void **state)
{
	const struct dump_stats stats = {
		.read_us = 10, .write_us = 20, .pages_scanned = 30, .pages_in_parent = 40, .pages_written = 50,
	};
	const Img__DumpStats *dump;
	struct error err = { 0 };
	ProtobufCMessage *msg;

	assert_int_equal(stats_write(dir.fd, &stats, &err), 0);
	assert_int_equal(image_read_one(dir.fd, "stats-dump", IMAGE_STATS, &img__stats__descriptor, &msg,
					&err), 0);
	dump = ((Img__Stats *)msg)->dump;
	assert_int_equal(dump->memdump_time, 10);
	assert_int_equal(dump->memwrite_time, 20);
	assert_int_equal(dump->pages_scanned, 30);
	assert_int_equal(dump->pages_skipped_parent, 40);
	assert_int_equal(dump->pages_written, 50);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_has_its_own_numbers), cmocka_unit_test(maps_are_checked),
		cmocka_unit_test(each_path_is_there_once), cmocka_unit_test(figures_are_written),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
