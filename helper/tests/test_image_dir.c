// SPDX-License-Identifier: GPL-2.0
/* The directory of a page server: when images get their names, and what they may replace. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include "services/image_dir.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

struct bench {
	struct test_dir base;
	char path[64];
	int fd;
	struct image_dir dir;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	dir_make(&bench->base);
	assert_int_equal(mkdirat(bench->base.fd, "images", 0700), 0);
	assert_int_equal(mkdirat(bench->base.fd, "before", 0700), 0);
	snprintf(bench->path, sizeof(bench->path), "%s/images", bench->base.path);
	bench->fd = open(bench->path, O_DIRECTORY | O_CLOEXEC);
	return image_dir_open(&bench->dir, bench->path, NULL, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	image_dir_close(&bench->dir);
	close(bench->fd);
	dir_remove(&bench->base);
	free(bench);
	return 0;
}

static bool is_there(struct bench *bench, const char *name)
{
	return !faccessat(bench->fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static struct image_made make(struct bench *bench, uint64_t target)
{
	struct image_writer writer;
	struct image_made made;

	assert_int_equal(image_dir_take(&bench->dir, target, &made, &bench->err), 0);
	assert_int_equal(image_writer_open(&writer, bench->dir.fd, &made, &bench->err), 0);
	assert_int_equal(image_writer_finish(&writer, &bench->err), 0);
	return made;
}

/* As a network file system that tells of a full disk at close() */
static void dir_test_close_fails(void **state)
{
	struct bench *bench = *state;
	struct image_writer writer;
	struct image_made made;

	assert_int_equal(image_dir_take(&bench->dir, PAGES_OF(TEST_PID), &made, &bench->err), 0);
	assert_int_equal(image_writer_open(&writer, bench->dir.fd, &made, &bench->err), 0);
	close(writer.pages_fd);
	assert_int_equal(image_writer_finish(&writer, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "cannot write pages-"));
	image_dir_drop(&bench->dir, &made, 1);
}

static void dir_test_publish(void **state)
{
	struct bench *bench = *state;
	struct image_made made[] = {
		make(bench, PAGES_OF(TEST_PID)), make(bench, SHM(9)),
	};

	assert_true(is_there(bench, "pagemap-77.img.part"));
	assert_false(is_there(bench, "pagemap-77.img"));
	assert_int_equal(image_dir_publish(&bench->dir, made, 2, &bench->err), 0);
	assert_true(is_there(bench, "pagemap-77.img"));
	assert_true(is_there(bench, "pagemap-shmem-9.img"));
	assert_true(is_there(bench, "pages-65537.img"));
	assert_true(is_there(bench, "pages-65538.img"));
	assert_false(is_there(bench, "pagemap-77.img.part"));
}

/* All or none: the second image cannot get its name. */
static void dir_test_none(void **state)
{
	struct bench *bench = *state;
	struct image_made made[] = {
		make(bench, PAGES_OF(TEST_PID)), make(bench, PAGES_OF(TEST_PID + 1)),
	};

	assert_int_equal(mkdirat(bench->fd, "pagemap-78.img", 0700), 0);
	assert_int_equal(image_dir_publish(&bench->dir, made, 2, &bench->err), -1);
	image_dir_drop(&bench->dir, made, 2);
	assert_int_equal(unlinkat(bench->fd, "pagemap-78.img", AT_REMOVEDIR), 0);
	for (const char *const *name = (const char *[]){
		"pagemap-77.img", "pages-65537.img", "pages-65538.img", "pagemap-77.img.part",
		"pagemap-78.img.part", "pages-65538.img.part", NULL }; *name; name++)
		assert_false(is_there(bench, *name));
}

static void dir_test_taken(void **state)
{
	struct bench *bench = *state;
	struct image_made made = make(bench, PAGES_OF(TEST_PID)), other;

	/* while it is written, and when it is whole */
	assert_int_equal(image_dir_take(&bench->dir, made.target, &other, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(image_dir_publish(&bench->dir, &made, 1, &bench->err), 0);
	assert_int_equal(image_dir_take(&bench->dir, made.target, &other, &bench->err), -1);
	/* free again after a failure */
	memset(&bench->err, 0, sizeof(bench->err));
	made = make(bench, SHM(1));
	image_dir_drop(&bench->dir, &made, 1);
	assert_false(is_there(bench, "pagemap-shmem-1.img.part"));
	assert_int_equal(image_dir_take(&bench->dir, SHM(1), &other, &bench->err), 0);
}

static void open_again(struct bench *bench, const char *parent)
{
	image_dir_close(&bench->dir);
	assert_int_equal(image_dir_open(&bench->dir, bench->path, parent, &bench->err), 0);
}

/* What an earlier server wrote stays until its pagemap is replaced; what it left unfinished goes. */
static void dir_test_again(void **state)
{
	struct bench *bench = *state;
	struct image_made made = make(bench, PAGES_OF(TEST_PID));

	assert_int_equal(image_dir_publish(&bench->dir, &made, 1, &bench->err), 0);
	make(bench, SHM(3));
	file_write(bench->fd, "mine.img.part", "", 0);
	open_again(bench, NULL);
	assert_false(is_there(bench, "pagemap-shmem-3.img.part"));
	assert_true(is_there(bench, "mine.img.part"));
	made = make(bench, PAGES_OF(TEST_PID));
	assert_int_equal(made.pages_id, 65538);
	assert_true(is_there(bench, "pages-65537.img"));
	assert_int_equal(image_dir_publish(&bench->dir, &made, 1, &bench->err), 0);
	assert_false(is_there(bench, "pages-65537.img"));
	assert_true(is_there(bench, "pages-65538.img"));
}

/* Number of the pages that @map names */
static uint32_t pages_of(struct bench *bench, const char *map)
{
	ProtobufCMessage *head;
	uint32_t id;

	assert_int_equal(image_read_one(bench->fd, map, IMAGE_PAGEMAP, &img__pagemap_head__descriptor,
					&head, &bench->err), 0);
	id = ((Img__PagemapHead *)head)->pages_id;
	protobuf_c_message_free_unpacked(head, NULL);
	return id;
}

static void publish_two(struct bench *bench, struct image_made made[2])
{
	made[0] = make(bench, PAGES_OF(TEST_PID));
	made[1] = make(bench, PAGES_OF(TEST_PID + 1));
	assert_int_equal(image_dir_publish(&bench->dir, made, 2, &bench->err), 0);
}

static void expect_first(struct bench *bench)
{
	assert_int_equal(pages_of(bench, "pagemap-77.img"), 65537);
	assert_int_equal(pages_of(bench, "pagemap-78.img"), 65538);
	assert_true(is_there(bench, "pages-65537.img"));
	assert_true(is_there(bench, "pages-65538.img"));
	assert_false(is_there(bench, "earlier.part"));
}

/* The second dump fails in the middle: the first one is whole again. */
static void dir_test_earlier(void **state)
{
	struct bench *bench = *state;
	struct image_made made[2];

	publish_two(bench, made);
	open_again(bench, NULL);
	made[0] = make(bench, PAGES_OF(TEST_PID));
	made[1] = make(bench, PAGES_OF(TEST_PID + 1));
	assert_int_equal(unlinkat(bench->fd, "pagemap-78.img.part", 0), 0);
	bench->dir.no_fsync = true;
	assert_int_equal(image_dir_publish(&bench->dir, made, 2, &bench->err), -1);
	image_dir_drop(&bench->dir, made, 2);
	expect_first(bench);
	assert_false(is_there(bench, "pages-65539.img"));
	memset(&bench->err, 0, sizeof(bench->err));
	open_again(bench, NULL);
	publish_two(bench, made);
	assert_false(is_there(bench, "pages-65537.img"));
	assert_int_equal(pages_of(bench, "pagemap-78.img"), made[1].pages_id);
	assert_false(is_there(bench, "replaced.part"));
}

/* The second dump fails before it has put the earlier pagemap aside: this pagemap stays where it is. */
static void dir_test_not_aside(void **state)
{
	struct bench *bench = *state;
	struct image_made made[2];

	publish_two(bench, made);
	open_again(bench, NULL);
	made[0] = make(bench, PAGES_OF(TEST_PID));
	file_write(bench->fd, "earlier.part", "", 0);
	assert_int_equal(image_dir_publish(&bench->dir, made, 1, &bench->err), -1);
	image_dir_drop(&bench->dir, made, 1);
	assert_int_equal(unlinkat(bench->fd, "earlier.part", 0), 0);
	expect_first(bench);
	assert_false(is_there(bench, "pages-65539.img"));
	/* the same when the pages cannot get their name */
	memset(&bench->err, 0, sizeof(bench->err));
	made[0] = make(bench, PAGES_OF(TEST_PID));
	bench->dir.no_fsync = true;
	assert_int_equal(unlinkat(bench->fd, "pages-65540.img.part", 0), 0);
	assert_int_equal(image_dir_publish(&bench->dir, made, 1, &bench->err), -1);
	image_dir_drop(&bench->dir, made, 1);
	expect_first(bench);
}

/* The server was killed, before the step after which the new images count, or after it. */
static void dir_test_killed(void **state)
{
	struct bench *bench = *state;
	struct image_made made[2];

	publish_two(bench, made);
	assert_int_equal(mkdirat(bench->fd, "earlier.part", 0700), 0);
	assert_int_equal(renameat(bench->fd, "pagemap-77.img", bench->fd, "earlier.part/pagemap-77.img"), 0);
	open_again(bench, NULL);
	expect_first(bench);
	assert_int_equal(mkdirat(bench->fd, "replaced.part", 0700), 0);
	assert_int_equal(renameat(bench->fd, "pagemap-77.img", bench->fd, "replaced.part/pagemap-77.img"), 0);
	open_again(bench, NULL);
	assert_false(is_there(bench, "pages-65537.img"));
	assert_false(is_there(bench, "replaced.part"));
}

static void dir_test_locked(void **state)
{
	struct bench *bench = *state;
	struct image_dir second;

	assert_int_equal(image_dir_open(&second, bench->path, NULL, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_USAGE);
}

static void dir_test_parent(void **state)
{
	struct bench *bench = *state;
	struct image_dir second;
	int fd;

	assert_int_equal(image_dir_parent(&bench->dir, &fd, &bench->err), 0);
	assert_int_equal(fd, -1);
	open_again(bench, "../before");
	/* `criu dump` in the same directory makes the same link */
	open_again(bench, "../before");
	assert_int_equal(image_dir_parent(&bench->dir, &fd, &bench->err), 0);
	assert_true(fd >= 0);
	close(fd);
	image_dir_close(&bench->dir);
	assert_int_equal(image_dir_open(&second, bench->path, "../images", &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "does not lead"));
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(image_dir_open(&second, bench->path, "../nothing", &bench->err), -1);
	memset(&bench->err, 0, sizeof(bench->err));
	open_again(bench, NULL);
	assert_int_equal(unlinkat(bench->base.fd, "before", AT_REMOVEDIR), 0);
	assert_int_equal(image_dir_parent(&bench->dir, &fd, &bench->err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dir_test_close_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_publish, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_earlier, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_not_aside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_locked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dir_test_parent, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
