// SPDX-License-Identifier: GPL-2.0
/* The files of a restored process: those to which the names in the images lead, without a user's link. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "dest/opened.h"
#include "tests/criu_images.h"

#define USER	65534

/**
 * struct kit - @images: a directory with files.img; @home: one of the user's; @child: the restored process
 * @maps: the child maps the file, and has no descriptor of it
 */
struct kit {
	struct test_dir images;
	char home[64], path[128];
	pid_t child;
	bool maps;
	struct opened opened;
	struct error err;
};

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	*state = kit;
	dir_make(&kit->images);
	strcpy(kit->home, "/run/test-opened-XXXXXX");
	assert_non_null(mkdtemp(kit->home));
	assert_int_equal(chown(kit->home, USER, USER), 0);
	snprintf(kit->path, sizeof(kit->path), "%s/dir", kit->home);
	assert_int_equal(mkdir(kit->path, 0755), 0);
	assert_int_equal(chown(kit->path, USER, USER), 0);
	strcat(kit->path, "/file");
	close(open(kit->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	return 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;
	char command[128];

	if (kit->child > 0) {
		kill(kit->child, SIGKILL);
		waitpid(kit->child, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -r %s", kit->home);
	assert_int_equal(system(command), 0);
	dir_remove(&kit->images);
	opened_free(&kit->opened);
	free(kit);
	return 0;
}

static void name_add(struct image_out *out, uint32_t id, const char *name)
{
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	reg.id = id;
	reg.name = (char *)name;
	file.has_type = file.has_id = true;
	file.type = 1;
	file.id = id;
	file.reg = &reg;
	image_out_add(out, &file.base);
}

/* All that this test itself has mapped, as the child has it, and @name. */
static void names_write(struct kit *kit, const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], *path;
	struct image_out out;

	assert_non_null(maps);
	image_out_init(&out, IMAGE_FILES);
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = 0;
		path = strchr(line, '/');
		if (path)
			name_add(&out, 1, path);
	}
	fclose(maps);
	name_add(&out, 1, "/");
	name_add(&out, 2, "/dev/null");
	name_add(&out, 3, name);
	assert_int_equal(image_out_store(&out, kit->images.fd, "files.img", &kit->err), 0);
	image_out_free(&out);
}

/* Before CRIU comes. */
static void names_expect(struct kit *kit, const char *name)
{
	names_write(kit, name);
	assert_int_equal(opened_expect(&kit->opened, kit->images.fd, &kit->err), 0);
}

static int check(struct kit *kit)
{
	return opened_check(&kit->opened, &kit->child, 1, &kit->err);
}

/* The process as CRIU would have it, which has opened @path as root. */
static void child_start(struct kit *kit, const char *path)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	kit->child = fork();
	if (!kit->child) {
		int null = open("/dev/null", O_RDWR), fd = open(path, O_RDONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int std = 0; std < 3; std++)
			dup2(null, std);
		dup2(ready[1], 3);
		if (!kit->maps)
			dup2(fd, 4);
		else if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			_exit(1);
		close_range(kit->maps ? 4 : 5, ~0U, 0);
		if (fd < 0 || chdir("/") || write(3, "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void fill(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
}

/* The directory's owner puts a link to @to in its place. */
static void swap_dir(const struct kit *kit, const char *to)
{
	char dir[128], away[160];

	snprintf(dir, sizeof(dir), "%s/dir", kit->home);
	snprintf(away, sizeof(away), "%s/away", kit->home);
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(symlink(to, dir), 0);
	assert_int_equal(lchown(dir, USER, USER), 0);
}

static void swap_back(const struct kit *kit)
{
	char dir[128], away[160];

	snprintf(dir, sizeof(dir), "%s/dir", kit->home);
	snprintf(away, sizeof(away), "%s/away", kit->home);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(rename(away, dir), 0);
}

static void its_own_files(void **state)
{
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	child_start(kit, kit->path);
	assert_int_equal(check(kit), 0);
}

/* CRIU came while the link was there, and got a file that the user may not read. */
static void expect_refused(struct kit *kit, bool back)
{
	char secret[] = "/run/test-secret-XXXXXX", file[64];

	names_expect(kit, kit->path);
	assert_non_null(mkdtemp(secret));
	snprintf(file, sizeof(file), "%s/file", secret);
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	swap_dir(kit, secret);
	child_start(kit, kit->path);
	if (back)
		swap_back(kit);
	assert_int_equal(check(kit), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, file));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(secret), 0);
}

static void a_link_in_the_place_of_a_directory(void **state)
{
	expect_refused(*state, false);
}

static void a_link_that_was_there_for_a_moment(void **state)
{
	expect_refused(*state, true);
}

/* The directory of the program's file is away, and a new one has a file of the same name. */
static void new_dir(const struct kit *kit)
{
	char dir[128], away[160];

	snprintf(dir, sizeof(dir), "%s/dir", kit->home);
	snprintf(away, sizeof(away), "%s/away", kit->home);
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	close(open(kit->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

/* CRIU opened the file of one that was there for a moment. */
static void a_directory_with_the_same_name(void **state)
{
	struct kit *kit = *state;
	char dir[128], away[160], other[160];

	names_expect(kit, kit->path);
	new_dir(kit);
	child_start(kit, kit->path);
	snprintf(dir, sizeof(dir), "%s/dir", kit->home);
	snprintf(away, sizeof(away), "%s/away", kit->home);
	snprintf(other, sizeof(other), "%s/other", kit->home);
	assert_int_equal(rename(dir, other), 0);
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(check(kit), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
}

/* The log was renamed, and there is a new one, when CRIU had opened the old one. */
static void a_file_that_was_rotated(void **state)
{
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	child_start(kit, kit->path);
	new_dir(kit);
	assert_int_equal(check(kit), 0);
}

static void a_file_that_was_rotated_before(void **state)
{
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	new_dir(kit);
	child_start(kit, kit->path);
	assert_int_equal(check(kit), 0);
}

/* A mapping of a file that has lost the name by which it was opened, and has another. */
static void a_mapping_whose_name_is_gone(void **state)
{
	char secret[] = "/run/test-secret-XXXXXX", file[64], other[64];
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	assert_non_null(mkdtemp(secret));
	snprintf(file, sizeof(file), "%s/file", secret);
	snprintf(other, sizeof(other), "%s/other", secret);
	fill(file);
	assert_int_equal(link(file, other), 0);
	swap_dir(kit, secret);
	kit->maps = true;
	child_start(kit, kit->path);
	swap_back(kit);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(check(kit), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "file (deleted)"));
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(secret), 0);
}

/* Links of the machine's own lead to the program's file. */
static void a_link_of_root(void **state)
{
	char link[] = "/run/test-link-XXXXXX", name[96];
	struct kit *kit = *state;

	assert_non_null(mkdtemp(link));
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(symlink(kit->home, link), 0);
	snprintf(name, sizeof(name), "%s/dir/file", link);
	names_expect(kit, name);
	child_start(kit, name);
	assert_int_equal(check(kit), 0);
	assert_int_equal(unlink(link), 0);
}

/* It lost its name while the program was restored. */
static void a_file_without_a_name(void **state)
{
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	child_start(kit, kit->path);
	assert_int_equal(unlink(kit->path), 0);
	assert_int_equal(check(kit), 0);
}

/* A file of root's that CRIU got over a user's link, and which was replaced since, as /etc/shadow is by passwd. */
static void a_secret_whose_name_went(void **state)
{
	char secret[] = "/run/test-secret-XXXXXX", file[64];
	struct kit *kit = *state;

	names_expect(kit, kit->path);
	assert_non_null(mkdtemp(secret));
	snprintf(file, sizeof(file), "%s/file", secret);
	fill(file);
	swap_dir(kit, secret);
	child_start(kit, kit->path);
	swap_back(kit);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(check(kit), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_int_equal(rmdir(secret), 0);
}

/* As CRIU makes a file that had no name at the source: the name in the images is @name. */
static int check_ghost(struct kit *kit, const char *name, const char *at)
{
	char ghost[192];

	names_expect(kit, name);
	snprintf(ghost, sizeof(ghost), "%s.cr.1a.ghost", at);
	fill(ghost);
	child_start(kit, ghost);
	assert_int_equal(unlink(ghost), 0);
	return check(kit);
}

static void a_ghost(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(check_ghost(kit, kit->path, kit->path), 0);
}

static void a_ghost_behind_a_link_of_root(void **state)
{
	char link[] = "/run/test-link-XXXXXX", name[96];
	struct kit *kit = *state;

	assert_non_null(mkdtemp(link));
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(symlink(kit->home, link), 0);
	snprintf(name, sizeof(name), "%s/dir/file", link);
	assert_int_equal(check_ghost(kit, name, kit->path), 0);
	assert_int_equal(unlink(link), 0);
}

static void a_ghost_elsewhere(void **state)
{
	struct kit *kit = *state;
	char other[128];

	snprintf(other, sizeof(other), "%s/file", kit->home);
	assert_int_equal(check_ghost(kit, kit->path, other), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	strcat(other, ".cr.1a.ghost (deleted)");
	assert_non_null(strstr(kit->err.what, other));
}

/* The number of an inode that is gone is soon another file's: what was found is held. */
static void what_was_found_is_held(void **state)
{
	struct kit *kit = *state;
	struct stat st;
	int held = 0;

	names_expect(kit, kit->path);
	assert_int_equal(stat(kit->path, &st), 0);
	assert_int_equal(unlink(kit->path), 0);
	for (int fd = 3; fd < 4096; fd++) {
		struct stat other;

		held += !fstat(fd, &other) && other.st_dev == st.st_dev && other.st_ino == st.st_ino;
	}
	assert_int_equal(held, 1);
}

/* CRIU's link-remap: the name in the images goes when the file is open, and the file has another. */
static void a_name_that_criu_has_removed(void **state)
{
	struct kit *kit = *state;
	char other[160];

	names_expect(kit, kit->path);
	snprintf(other, sizeof(other), "%s/other", kit->home);
	assert_int_equal(link(kit->path, other), 0);
	child_start(kit, kit->path);
	assert_int_equal(unlink(kit->path), 0);
	assert_int_equal(check(kit), 0);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(a_secret_whose_name_went), KIT_TEST(a_ghost), KIT_TEST(a_ghost_behind_a_link_of_root),
		KIT_TEST(a_ghost_elsewhere), KIT_TEST(what_was_found_is_held),
		KIT_TEST(its_own_files), KIT_TEST(a_link_in_the_place_of_a_directory),
		KIT_TEST(a_link_that_was_there_for_a_moment), KIT_TEST(a_directory_with_the_same_name),
		KIT_TEST(a_link_of_root), KIT_TEST(a_file_without_a_name),
		KIT_TEST(a_name_that_criu_has_removed), KIT_TEST(a_file_that_was_rotated),
		KIT_TEST(a_file_that_was_rotated_before), KIT_TEST(a_mapping_whose_name_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
