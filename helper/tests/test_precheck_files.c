// SPDX-License-Identifier: GPL-2.0
/* The files that Setup names, and what the answer may reveal of them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/precheck_files.h"
#include "os/safe_path.h"
#include "tests/setup_bench.h"

/* The same words for a file that is missing and for one that differs, and no size. */
static void files_are_no_oracle(void **state)
{
	char here[] = "/tmp/test-precheck-XXXXXX", *differs, *missing;
	struct bench *bench = *state;
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
	int fd = mkstemp(here);

	assert_int_equal(write(fd, "7654321", 7), 7);
	close(fd);
	file.path = here;
	file.bytes = 123456;
	file.has_mode = true;
	file.mode = S_IFREG | 0600;
	bench->setup.files = list;
	bench->setup.n_files = 1;
	assert_int_equal(refusals(bench), 1);
	differs = strdup(bench->refusals.text[0]);
	precheck_free(&bench->refusals);
	unlink(here);
	assert_int_equal(refusals(bench), 1);
	missing = bench->refusals.text[0];
	assert_non_null(strstr(missing, here));
	assert_string_equal(differs, missing);
	assert_null(strstr(differs, " 7 "));
	free(differs);
}

/* Kind, mode and size: what CRIU would fail at in the end, and what is to be done about it. */
static void files_of_all_kinds(void **state)
{
	static const struct {
		const char *path, *advice;
		mode_t mode;
		uint64_t bytes;
		Migrate__FileUse use;
		bool any_size;
	} cases[] = {
		{ "/tmp", "mkdir -p, chmod 0711", S_IFDIR | 0711, 0, MIGRATE__FILE_USE__FILE_CWD, true },
		{ "/tmp", "mkfifo, chmod 0600", S_IFIFO | 0600, 0, MIGRATE__FILE_USE__FILE_OPEN, true },
		{ "/nothing", "touch, chmod 0640", S_IFREG | 0640, 9, MIGRATE__FILE_USE__FILE_OPEN,
		  true },
		{ "/nothing", "same storage", S_IFREG | 0600, 9, MIGRATE__FILE_USE__FILE_DATA, false },
		{ "/nothing", "touch", 0, 0, MIGRATE__FILE_USE__FILE_REPLACES_TTY, true },
		{ "/dev/null", NULL, S_IFCHR | 0666, 0, MIGRATE__FILE_USE__FILE_OPEN, true },
		{ "/dev/null", NULL, 0, 0, MIGRATE__FILE_USE__FILE_REPLACES_TTY, true },
		{ "/", NULL, 0, 0, MIGRATE__FILE_USE__FILE_ROOT, true },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
		struct stat st;

		file.path = (char *)cases[i].path;
		file.bytes = cases[i].bytes;
		file.has_use = file.has_any_size = true;
		file.use = cases[i].use;
		file.any_size = cases[i].any_size;
		file.has_mode = file.use != MIGRATE__FILE_USE__FILE_REPLACES_TTY;
		file.mode = cases[i].mode;
		if (!file.mode && !stat(file.path, &st))
			file.mode = st.st_mode;
		bench->setup.files = list;
		bench->setup.n_files = 1;
		assert_int_equal(refusals(bench), cases[i].advice != NULL);
		if (cases[i].advice)
			assert_non_null(strstr(bench->refusals.text[0], cases[i].advice));
		precheck_free(&bench->refusals);
	}
}

/* A descriptor that is open for writing, of a log in the directory of @owner that is a link to a file of root's. */
static size_t refusals_of_link(struct bench *bench, const char *dir, uid_t owner, const char *target)
{
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };
	char log[64];
	struct stat st;
	size_t nr;

	precheck_free(&bench->refusals);
	snprintf(log, sizeof(log), "%s/app.log", dir);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(symlink(target, log), 0);
	assert_int_equal(lchown(log, owner, owner), 0);
	assert_int_equal(chown(dir, owner, owner), 0);
	file.path = log;
	file.has_mode = file.has_any_size = file.any_size = file.has_use = true;
	file.use = MIGRATE__FILE_USE__FILE_OPEN;
	file.mode = S_IFREG | 0644;
	bench->setup.files = list;
	bench->setup.n_files = 1;
	nr = refusals(bench);
	unlink(log);
	return nr;
}

/* CRIU would open for the program, as root, what a user of this machine put there. Needs root. */
static void links_of_users(void **state)
{
	char dir[] = "/tmp/test-precheck-XXXXXX";
	struct bench *bench = *state;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(refusals_of_link(bench, dir, 4711, "/etc/passwd"), 1);
	assert_non_null(strstr(bench->refusals.text[0], "app.log"));
	assert_non_null(strstr(bench->refusals.text[0], "symbolic link"));
	assert_int_equal(refusals_of_link(bench, dir, 0, "/etc/passwd"), 0);
	/* of another mode: the answer does not tell that there is a link */
	assert_int_equal(refusals_of_link(bench, dir, 4711, "/etc"), 1);
	assert_null(strstr(bench->refusals.text[0], "symbolic link"));
	rmdir(dir);
}

/* One path with many sizes would find the right one. */
static void a_file_is_asked_once(void **state)
{
	struct bench *bench = *state;
	Migrate__MappedFile files[2], *list[] = { &files[0], &files[1] };

	for (int i = 0; i < 2; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = "/etc/passwd";
		files[i].bytes = i;
	}
	bench->setup.files = list;
	bench->setup.n_files = 2;
	assert_int_equal(refusals(bench), 1);
	assert_null(strstr(bench->refusals.text[0], "/etc/passwd"));
}

/* Another spelling of a path does not make another question. */
static void a_file_has_one_answer(void **state)
{
	static char *const paths[] = { "/etc/passwd", "/etc/./passwd", "//etc/passwd" };
	Migrate__MappedFile files[3], *list[] = { &files[0], &files[1], &files[2] };
	struct bench *bench = *state;
	struct stat st;

	assert_int_equal(stat(paths[0], &st), 0);
	for (int i = 0; i < 3; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = paths[i];
		files[i].bytes = st.st_size;
		files[i].has_mode = true;
		files[i].mode = st.st_mode;
	}
	bench->setup.files = list;
	bench->setup.n_files = 3;
	/* a program may have it by several names */
	assert_int_equal(refusals(bench), 0);
	/* a source that guesses hears of the first guess alone */
	files[0].bytes++;
	assert_int_equal(refusals(bench), 3);
	precheck_free(&bench->refusals);
	files[0].bytes--;
	files[0].mode ^= 1;
	assert_int_equal(refusals(bench), 3);
}

static void too_many_files(void **state)
{
	struct bench *bench = *state;
	size_t nr = PRECHECK_MAX_FILES + 1;
	Migrate__MappedFile *files = calloc(nr, sizeof(*files)), **list = calloc(nr, sizeof(*list));

	for (size_t i = 0; i < nr; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = "/etc/passwd";
		list[i] = &files[i];
	}
	bench->setup.files = list;
	bench->setup.n_files = nr;
	assert_int_equal(refusals(bench), 1);
	free(files);
	free(list);
}

static void a_path_that_is_none(void **state)
{
	static const char *const paths[] = { "", "etc/passwd", "../etc/passwd" };
	struct bench *bench = *state;
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *list[] = { &file };

	bench->setup.files = list;
	bench->setup.n_files = 1;
	for (size_t i = 0; i < 3; i++) {
		file.path = (char *)paths[i];
		assert_int_equal(refusals(bench), 1);
		precheck_free(&bench->refusals);
	}
}

/* As open() on a network file system whose server is gone. */
static int never_answers(const char *root, const char *path)
{
	while (!strcmp(path, "/net/dead/lib.so"))
		pause();
	return safe_path_open(root, path);
}

static void a_dead_server_is_waited_for_shortly(void **state)
{
	struct bench *bench = *state;
	Migrate__MappedFile files[3], *list[] = { &files[0], &files[1], &files[2] };
	static char *const paths[] = { "/no-such-file", "/net/dead/lib.so", "/etc/passwd" };

	for (int i = 0; i < 3; i++) {
		migrate__mapped_file__init(&files[i]);
		files[i].path = paths[i];
	}
	bench->setup.files = list;
	bench->setup.n_files = 3;
	precheck_open = never_answers;
	precheck_files_ms = 1000;
	/* or it would never end */
	alarm(120);
	assert_int_equal(refusals(bench), 2);
	alarm(0);
	precheck_open = safe_path_open;
	assert_non_null(strstr(bench->refusals.text[0], "/no-such-file"));
	assert_non_null(strstr(bench->refusals.text[1], "/net/dead/lib.so"));
	assert_non_null(strstr(bench->refusals.text[1], "did not answer within 1 s"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(files_are_no_oracle), BENCH_TEST(files_of_all_kinds),
		BENCH_TEST(links_of_users), BENCH_TEST(a_file_is_asked_once),
		BENCH_TEST(a_file_has_one_answer), BENCH_TEST(too_many_files),
		BENCH_TEST(a_path_that_is_none), BENCH_TEST(a_dead_server_is_waited_for_shortly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
