// SPDX-License-Identifier: GPL-2.0
/* Repairs of files.img and of images that refer to its records: terminals, sizes, the session. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include "tests/criu_images.h"
#include "criu/repairs.h"

#define REG	1	/* of FileEntry and FdinfoEntry */
#define TTY	11
#define PTY	1	/* of TtyInfoEntry */
#define EXTERNAL 5

static uint8_t owner[] = { 0x08, 0x07 };	/* uid = 7 */

static int setup(void **state)
{
	struct test_dir *dir = calloc(1, sizeof(*dir));

	dir_make(dir);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	dir_remove(*state);
	free(*state);
	return 0;
}

static void add_tty(struct image_out *files, uint32_t id, uint32_t info, uint32_t flags)
{
	Img__TtyFileEntry tty = IMG__TTY_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	tty.id = id;
	tty.tty_info_id = info;
	tty.flags = flags;
	tty.fown.data = owner;
	tty.fown.len = sizeof(owner);
	file.has_type = file.has_id = true;
	file.type = TTY;
	file.id = id;
	file.tty = &tty;
	image_out_add(files, &file.base);
}

static void add_reg(struct image_out *files, uint32_t id, uint32_t flags)
{
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	reg.id = id;
	reg.flags = flags;
	reg.fown.data = owner;
	reg.fown.len = sizeof(owner);
	reg.name = "/some/file";
	reg.has_size = true;
	reg.size = 4711;
	file.has_type = file.has_id = true;
	file.type = REG;
	file.id = id;
	file.reg = &reg;
	image_out_add(files, &file.base);
}

static void add_info(struct image_out *infos, uint32_t id, uint32_t type)
{
	Img__TtyInfoEntry info = IMG__TTY_INFO_ENTRY__INIT;

	info.id = id;
	info.type = type;
	image_out_add(infos, &info.base);
}

static void add_fd(struct image_out *fds, uint32_t fd, uint32_t type, uint32_t id)
{
	Img__FdinfoEntry info = IMG__FDINFO_ENTRY__INIT;

	info.fd = fd;
	info.type = type;
	info.id = id;
	image_out_add(fds, &info.base);
}

static void store(const struct test_dir *dir, struct image_out *out, const char *name)
{
	struct error err = { 0 };

	assert_int_equal(image_out_store(out, dir->fd, name, &err), 0);
	image_out_free(out);
}

/* A terminal of others on 0 to 2, another one that is only read on 3, and a pty of its own on 4. */
static void make_terminals(const struct test_dir *dir)
{
	struct image_out files, infos, fds;

	image_out_init(&files, IMAGE_FILES);
	add_tty(&files, 1, 100, O_RDWR | O_NOCTTY);
	add_tty(&files, 2, 101, O_RDONLY);
	add_tty(&files, 3, 102, O_RDWR);
	add_reg(&files, 9, O_RDONLY);
	store(dir, &files, "files.img");
	image_out_init(&infos, IMAGE_TTY_INFO);
	add_info(&infos, 100, EXTERNAL);
	add_info(&infos, 101, EXTERNAL);
	add_info(&infos, 102, PTY);
	store(dir, &infos, "tty-info.img");
	image_out_init(&fds, IMAGE_FDINFO);
	add_fd(&fds, 0, TTY, 1);
	add_fd(&fds, 1, TTY, 1);
	add_fd(&fds, 2, TTY, 1);
	add_fd(&fds, 3, TTY, 2);
	add_fd(&fds, 4, TTY, 3);
	add_fd(&fds, 5, REG, 9);
	store(dir, &fds, "fdinfo-2.img");
}

static Img__FileEntry *file_find(const struct test_dir *dir, uint32_t id)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;

	assert_int_equal(image_open(&image, dir->fd, "files.img", IMAGE_FILES, &err), 0);
	while (image_next(&image, &img__file_entry__descriptor, &msg, &err) > 0) {
		if (((Img__FileEntry *)msg)->id == id) {
			image_close(&image);
			return (Img__FileEntry *)msg;
		}
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	fail_msg("file %u is not there", id);
	return NULL;
}

/* What is open as descriptor @fd is the file @name with these flags. */
static void assert_open(const struct test_dir *dir, uint32_t fd, const char *name, uint32_t flags)
{
	struct error err = { 0 };
	Img__FileEntry *file;
	ProtobufCMessage *msg;
	struct image image;
	uint32_t id = 0;

	assert_int_equal(image_open(&image, dir->fd, "fdinfo-2.img", IMAGE_FDINFO, &err), 0);
	while (image_next(&image, &img__fdinfo_entry__descriptor, &msg, &err) > 0) {
		const Img__FdinfoEntry *info = (Img__FdinfoEntry *)msg;

		if (info->fd == fd) {
			assert_int_equal(info->type, REG);
			id = info->id;
		}
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
	file = file_find(dir, id);
	assert_int_equal(file->type, REG);
	assert_non_null(file->reg);
	assert_null(file->tty);
	assert_string_equal(file->reg->name, name);
	assert_int_equal(file->reg->flags, flags);
	assert_int_equal(file->reg->id, id);
	assert_false(file->reg->has_size);
	assert_memory_equal(file->reg->fown.data, owner, sizeof(owner));
	protobuf_c_message_free_unpacked(&file->base, NULL);
}

static void terminals_become_a_file(void **state)
{
	struct criu_files files = { .replace_tty = "/var/log/it" };
	struct test_dir *dir = *state;
	Img__FileEntry *own;
	struct error err = { 0 };

	make_terminals(dir);
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_int_equal(files.terminals, 2);
	assert_open(dir, 0, "/dev/null", O_RDWR);
	assert_open(dir, 1, "/var/log/it", O_WRONLY | O_APPEND);
	assert_open(dir, 2, "/var/log/it", O_WRONLY | O_APPEND);
	assert_open(dir, 3, "/dev/null", O_RDONLY);
	own = file_find(dir, 3);
	assert_int_equal(own->type, TTY);
	protobuf_c_message_free_unpacked(&own->base, NULL);
	/* the pty's record stays, that of a terminal that is not there would fail the restore */
	assert_int_equal(criu_has_ptys(dir->fd, &err), 1);
	files.terminals = 7;
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_int_equal(files.terminals, 0);
}

static void terminals_become_nothing(void **state)
{
	struct criu_files files = { .replace_tty = "/dev/null" };
	struct test_dir *dir = *state;
	struct error err = { 0 };

	make_terminals(dir);
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_open(dir, 0, "/dev/null", O_RDWR);
	assert_open(dir, 1, "/dev/null", O_RDWR);
}

static void sizes(void **state)
{
	struct criu_files files = { 0 };
	struct test_dir *dir = *state;
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_FILES);
	add_reg(&out, 1, O_RDONLY);
	add_reg(&out, 2, O_WRONLY);
	add_reg(&out, 3, O_RDWR);
	store(dir, &out, "files.img");
	assert_int_equal(criu_has_ptys(dir->fd, &err), 0);
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_int_equal(files.sizes, 1);
	for (uint32_t id = 1; id <= 3; id++) {
		Img__FileEntry *file = file_find(dir, id);

		assert_int_equal(file->reg->has_size, id != 2);
		protobuf_c_message_free_unpacked(&file->base, NULL);
	}
}

static void add_external(struct image_out *files, uint32_t id, char *name, bool ext)
{
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	reg.id = id;
	reg.fown.data = owner;
	reg.fown.len = sizeof(owner);
	reg.name = name;
	reg.has_ext = ext;
	reg.ext = ext;
	file.has_id = true;
	file.id = id;
	file.reg = &reg;
	image_out_add(files, &file.base);
}

static void assert_name(const struct test_dir *dir, uint32_t id, const char *name, bool ext)
{
	Img__FileEntry *file = file_find(dir, id);

	assert_string_equal(file->reg->name, name);
	assert_int_equal(file->reg->ext, ext);
	protobuf_c_message_free_unpacked(&file->base, NULL);
}

static void renames(void **state)
{
	const struct criu_rename list[] = {
		{ "file[1f:2a]", "/srv/a.1" }, { "file[1f:2b]", "/srv/b.1" },
	};
	struct criu_files files = { .renames = list, .nr_renames = 2 };
	struct test_dir *dir = *state;
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_FILES);
	add_external(&out, 1, "file[1f:2b]", true);
	/* a file that is called so, and one that was left out for another reason */
	add_external(&out, 2, "file[1f:2a]", false);
	add_external(&out, 3, "file[1f:2c]", true);
	store(dir, &out, "files.img");
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_int_equal(files.renamed, 1);
	assert_name(dir, 1, "/srv/b.1", false);
	assert_name(dir, 2, "file[1f:2a]", false);
	assert_name(dir, 3, "file[1f:2c]", true);
}

static void add_socket(struct image_out *files, uint32_t id, uint32_t proto, uint32_t state)
{
	Img__InetSkEntry socket = IMG__INET_SK_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	socket.id = id;
	socket.ino = 100 + id;
	socket.proto = proto;
	socket.state = state;
	socket.src_port = 6379;
	file.has_id = true;
	file.id = id;
	file.isk = &socket;
	image_out_add(files, &file.base);
}

static bool is_not_101(void *ctx, uint32_t ino)
{
	++*(int *)ctx;
	return ino != 101;
}

static void reset_sockets(void **state)
{
	int asked = 0;
	struct criu_files files = { .was_reset = is_not_101, .ctx = &asked };
	struct test_dir *dir = *state;
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_FILES);
	add_socket(&out, 1, IPPROTO_TCP, 7);
	add_socket(&out, 2, IPPROTO_TCP, 7);
	add_socket(&out, 3, IPPROTO_TCP, 1);
	add_socket(&out, 4, IPPROTO_UDP, 7);
	store(dir, &out, "files.img");
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), 0);
	assert_int_equal(files.unbound, 1);
	assert_int_equal(asked, 2);
	for (uint32_t id = 1; id <= 4; id++) {
		Img__FileEntry *file = file_find(dir, id);

		assert_int_equal(file->isk->src_port, id == 2 ? 0 : 6379);
		assert_int_equal(file->isk->ino, 100 + id);
		protobuf_c_message_free_unpacked(&file->base, NULL);
	}
}

static void damaged(void **state)
{
	struct criu_files files = { .replace_tty = "/dev/null" };
	struct test_dir *dir = *state;
	struct error err = { 0 };

	assert_int_equal(criu_files_repair(dir->fd, &files, &err), -1);
	memset(&err, 0, sizeof(err));
	make_terminals(dir);
	file_write(dir->fd, "fdinfo-2.img", "nonsense", 8);
	assert_int_equal(criu_files_repair(dir->fd, &files, &err), -1);
	assert_true(error_is_set(&err));
	memset(&err, 0, sizeof(err));
	assert_int_equal(criu_session_repair(dir->fd, &err), -1);
}

static void session(void **state)
{
	Img__PstreeEntry tree = IMG__PSTREE_ENTRY__INIT, *got;
	struct test_dir *dir = *state;
	struct error err = { 0 };
	ProtobufCMessage *msg;

	tree.pid = TEST_PID;
	tree.has_sid = tree.has_pgid = true;
	tree.sid = 5;
	tree.pgid = 6;
	one_record(dir->fd, "pstree.img", IMAGE_PSTREE, &tree.base);
	assert_int_equal(criu_session_repair(dir->fd, &err), 0);
	assert_int_equal(image_read_one(dir->fd, "pstree.img", IMAGE_PSTREE,
					&img__pstree_entry__descriptor, &msg, &err), 0);
	got = (Img__PstreeEntry *)msg;
	assert_int_equal(got->sid, TEST_PID);
	assert_int_equal(got->pgid, TEST_PID);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(terminals_become_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(terminals_become_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_sockets, setup, teardown),
		cmocka_unit_test_setup_teardown(renames, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(session, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
