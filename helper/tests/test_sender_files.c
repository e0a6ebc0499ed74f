// SPDX-License-Identifier: GPL-2.0
/* What a limited sender's programs have open, before CRIU and after it. Needs root. */
#define _GNU_SOURCE
#include <grp.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include "criu/opens.h"
#include "tests/sender_bench.h"

static const char *working, *root;

/* A process of uid 1500 that has @path open, as root opened it */
static pid_t start_with(const char *path, int flags)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = path ? open(path, flags) : inotify_init();

		dup2(fd, 0);
		dup2(ready[1], 1);
		dup2(ready[1], 2);
		closefrom(3);
		if (fd < 0 || (working && chdir(working)) || (root && chroot(root)) || setgroups(0, NULL) || setresgid(1500, 1500, 1500) || setresuid(1500, 1500, 1500))
			_exit(1);
		if (write(1, "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static int files_of(struct bench *bench, const char *path, int flags)
{
	int ret;

	bench->process.host_pid = start_with(path, flags);
	memset(&err, 0, sizeof(err));
	ret = sender_check_files(&rule, &bench->program, &err);
	kill(bench->process.host_pid, SIGKILL);
	waitpid(bench->process.host_pid, NULL, 0);
	return ret;
}

static void files(void **state)
{
	struct bench *bench = *state;
	char path[128], closed[160];
	int fd;

	assert_int_equal(chmod(bench->dir.path, 0755), 0);
	snprintf(path, sizeof(path), "%s/file", bench->dir.path);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	assert_true(fd >= 0 && !fchmod(fd, 0644));
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), 0);
	assert_int_equal(files_of(bench, path, O_RDONLY), 0);
	assert_int_equal(files_of(bench, path, O_WRONLY), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "open for writing, which uid 1500 cannot open"));
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(files_of(bench, path, O_RDONLY), -1);
	assert_int_equal(fchown(fd, 1500, 1500), 0);
	assert_int_equal(files_of(bench, path, O_RDWR), 0);
	assert_int_equal(fchown(fd, 0, 0) | fchmod(fd, 0644), 0);
	/* what others may read, in a directory that is closed to them */
	snprintf(closed, sizeof(closed), "%s/closed", bench->dir.path);
	assert_int_equal(mkdir(closed, 0700), 0);
	snprintf(closed, sizeof(closed), "%s/closed/file", bench->dir.path);
	assert_int_equal(rename(path, closed), 0);
	assert_int_equal(files_of(bench, closed, O_RDONLY), -1);
	assert_int_equal(files_of(bench, "/proc/sys/kernel/core_pattern", O_WRONLY), -1);
	/* the rights of this process are as before */
	assert_int_equal(access(closed, R_OK), 0);
	close(fd);
	assert_true(parses("uids=1000"));
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), -1);
	assert_non_null(strstr(err.what, "not of a user"));
}

/* What is no file that its user could have opened, though root could */
static void other_files(void **state)
{
	struct bench *bench = *state;
	char closed[128], inside[160], fifo[128], pty[64];
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_int_equal(chmod(bench->dir.path, 0755), 0);
	snprintf(closed, sizeof(closed), "%s/closed", bench->dir.path);
	snprintf(inside, sizeof(inside), "%s/closed/it", bench->dir.path);
	snprintf(fifo, sizeof(fifo), "%s/fifo", bench->dir.path);
	assert_int_equal(mkdir(closed, 0700) | mkdir(inside, 0755) | mkfifo(fifo, 0666) | chmod(fifo, 0666), 0);
	assert_int_equal(files_of(bench, "/", O_PATH), 0);
	assert_int_equal(files_of(bench, closed, O_PATH), -1);
	assert_int_equal(files_of(bench, inside, O_PATH), -1);
	assert_int_equal(files_of(bench, fifo, O_RDWR), -1);
	assert_non_null(strstr(err.what, "or a device"));
	assert_int_equal(files_of(bench, "/proc/kallsyms", O_RDONLY), -1);
	assert_non_null(strstr(err.what, "a file of the kernel's"));
	assert_int_equal(files_of(bench, NULL, 0), -1);
	assert_non_null(strstr(err.what, "inotify"));
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master) && !ptsname_r(master, pty, sizeof(pty)));
	assert_int_equal(chmod(pty, 0666), 0);
	assert_int_equal(files_of(bench, pty, O_RDWR | O_NOCTTY), -1);
	assert_int_equal(chown(pty, 1500, 0), 0);
	assert_int_equal(files_of(bench, pty, O_RDWR | O_NOCTTY), 0);
	close(master);
}

static void directories(void **state)
{
	struct bench *bench = *state;
	char closed[128], passed[128];

	assert_int_equal(chmod(bench->dir.path, 0755), 0);
	snprintf(closed, sizeof(closed), "%s/closed", bench->dir.path);
	snprintf(passed, sizeof(passed), "%s/passed", bench->dir.path);
	assert_int_equal(mkdir(closed, 0700) | mkdir(passed, 0711), 0);
	working = passed;
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), 0);
	working = closed;
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), -1);
	working = NULL;
	root = passed;
	assert_int_equal(files_of(bench, "/dev/null", O_RDWR), -1);
	assert_non_null(strstr(err.what, "root directory of its own"));
	root = NULL;
}

/* files.img with "/" as id 1 and @path as id 2; fs-77.img with @cwd and @top */
static void write_paths(struct bench *bench, char *path, int flags, uint32_t cwd, uint32_t top)
{
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FsEntry fs = IMG__FS_ENTRY__INIT;
	struct image_out out;

	file.has_type = true;
	file.type = 1;
	file.reg = &reg;
	reg.id = 1;
	reg.name = "/";
	image_out_init(&out, IMAGE_FILES);
	image_out_add(&out, &file.base);
	reg.id = 2;
	reg.name = path;
	reg.flags = flags;
	image_out_add(&out, &file.base);
	assert_int_equal(image_out_store(&out, bench->fd, "files.img", &err), 0);
	image_out_free(&out);
	fs.cwd_id = cwd;
	fs.root_id = top;
	one_record(bench->fd, "fs-77.img", IMAGE_FS, &fs.base);
}

static int path_of(struct bench *bench, const char *path, int flags)
{
	write_paths(bench, (char *)path, flags, 1, 1);
	return check(bench);
}

static void write_mapping(struct bench *bench, int fdflags)
{
	Img__MmEntry mm = IMG__MM_ENTRY__INIT;
	Img__VmaEntry vma = IMG__VMA_ENTRY__INIT, *list[] = { &vma };

	vma.start = 0x10000;
	vma.end = 0x11000;
	vma.has_shmid = vma.has_fdflags = true;
	vma.shmid = 2;
	vma.status = 1 | 1u << 7;
	vma.flags = MAP_SHARED;
	vma.fdflags = fdflags;
	mm.vmas = list;
	mm.n_vmas = 1;
	one_record(bench->fd, "mm-77.img", IMAGE_MM, &mm.base);
}

static void paths_of_images(void **state)
{
	struct bench *bench = *state;
	struct test_dir places;
	char path[128], closed[128];
	Img__RemapFilePathEntry remap = IMG__REMAP_FILE_PATH_ENTRY__INIT;
	Img__TtyInfoEntry tty = IMG__TTY_INFO_ENTRY__INIT;

	dir_make(&places);
	assert_int_equal(chmod(places.path, 0755), 0);
	snprintf(path, sizeof(path), "%s/passed", places.path);
	snprintf(closed, sizeof(closed), "%s/closed", places.path);
	assert_int_equal(mkdir(path, 0711) | mkdir(closed, 0700), 0);
	assert_int_equal(path_of(bench, "/etc/passwd", O_RDONLY), 0);
	assert_int_equal(path_of(bench, "/etc/passwd", O_RDWR), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "/etc/passwd open, which no user of the program"));
	assert_int_equal(path_of(bench, "/etc/shadow", O_RDONLY), -1);
	assert_int_equal(path_of(bench, "/etc/nobody-has-this", O_RDWR), 0);
	assert_int_equal(path_of(bench, "file[1]", O_RDONLY), -1);
	assert_int_equal(path_of(bench, path, O_RDONLY), -1);
	assert_int_equal(path_of(bench, path, O_PATH), 0);
	assert_int_equal(path_of(bench, closed, O_PATH), -1);
	write_paths(bench, path, O_RDONLY, 2, 1);
	assert_int_equal(check(bench), 0);
	write_paths(bench, path, O_RDONLY, 1, 2);
	assert_int_equal(check(bench), -1);
	assert_non_null(strstr(err.what, "chroot to"));
	write_paths(bench, path, O_RDONLY, 1, 3);
	assert_int_equal(check(bench), -1);
	assert_int_equal(path_of(bench, "/etc/passwd", O_RDONLY), 0);
	write_mapping(bench, O_RDONLY);
	assert_int_equal(check(bench), 0);
	write_mapping(bench, O_RDWR);
	assert_int_equal(check(bench), -1);
	write_mapping(bench, O_RDONLY);
	/* a pty is the machine's unless the program has a /dev/pts of its own */
	assert_int_equal(path_of(bench, "/dev/pts/../../etc/shadow", O_RDONLY), -1);
	tty.type = 1;
	one_record(bench->fd, "tty-info.img", IMAGE_TTY_INFO, &tty.base);
	assert_int_equal(path_of(bench, "/dev/pts/../../etc/shadow", O_RDONLY), -1);
	assert_int_equal(path_of(bench, "/dev/pts/0", O_RDWR), 0);
	remap.has_remap_type = true;
	remap.remap_type = 1;
	remap.orig_id = 2;
	one_record(bench->fd, "remap-fpath.img", IMAGE_REMAP_FPATH, &remap.base);
	assert_int_equal(path_of(bench, "/tmp/it", O_RDWR), 0);
	assert_int_equal(path_of(bench, "/etc/it", O_RDWR), -1);
	assert_non_null(strstr(err.what, "no user of the program can make"));
	assert_int_equal(geteuid() | access("/etc/shadow", W_OK), 0);
	dir_remove(&places);
}

/* Of any sender */
static void flags_of_images(void **state)
{
	static const int makes[] = { O_TRUNC, O_CREAT, O_EXCL, O_TMPFILE & ~O_DIRECTORY };
	struct bench *bench = *state;
	struct criu_task task = { 0 };
	uint32_t threads[] = { TEST_PID };

	memset(&err, 0, sizeof(err));
	pstree_write(bench->fd, threads, 1);
	write_paths(bench, "/etc/shadow", O_RDWR | O_DIRECTORY, 1, 1);
	assert_int_equal(criu_opens_check(bench->fd, &err), 0);
	write_mapping(bench, O_RDWR);
	assert_int_equal(criu_task_read(bench->fd, TEST_PID, &task, &err), 0);
	criu_task_free(&task);
	for (size_t i = 0; i < sizeof(makes) / sizeof(*makes); i++) {
		write_paths(bench, "/etc/shadow", O_RDWR | makes[i], 1, 1);
		assert_int_equal(criu_opens_check(bench->fd, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		memset(&err, 0, sizeof(err));
		write_mapping(bench, O_RDWR | makes[i]);
		assert_int_equal(criu_task_read(bench->fd, TEST_PID, &task, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		criu_task_free(&task);
		memset(&err, 0, sizeof(err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(files), BENCH_TEST(other_files), BENCH_TEST(directories), BENCH_TEST(paths_of_images), BENCH_TEST(flags_of_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
