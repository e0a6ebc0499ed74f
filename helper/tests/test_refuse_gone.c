// SPDX-License-Identifier: GPL-2.0
/* Files whose name is gone, of this process; processes that have ended, or whose main thread has; vfork. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/refuse.h"

static char names_dir[] = "/tmp/refuse-names-XXXXXX";

/* An open file, a mapped one, one whose name is elsewhere, one that has none, and one as it was. */
static void make_files(void)
{
	static const char *const links[] = { "open.1", "mapped.1", "other/far" };
	static const char *const files[] = { "open", "mapped", "far", "gone", "kept" };

	assert_int_equal(chdir(names_dir), 0);
	assert_int_equal(mkdir("other", 0700), 0);
	for (size_t i = 0; i < 5; i++) {
		int fd = open(files[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 4096), 0);
		if (i < 3)
			assert_int_equal(link(files[i], links[i]), 0);
		if (i < 4)
			assert_int_equal(unlink(files[i]), 0);
		if (i != 1)
			continue;
		assert_ptr_not_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
				     MAP_FAILED);
		close(fd);
	}
}

static void remove_names(void)
{
	static const char *const names[] = { "open.1", "mapped.1", "other/far", "kept" };
	char path[64];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", names_dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/other", names_dir);
	rmdir(path);
	rmdir(names_dir);
}

/* Somebody puts another file in the place of the other name, while the program is frozen. */
static void replaced_name(const struct renamed *renamed, const char *path)
{
	struct error err = { 0 };
	int fd;

	assert_int_equal(renamed_check(renamed, &err), 0);
	fd = open("new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename("new", path), 0);
	assert_int_equal(renamed_check(renamed, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, path));
}

static void renamed_files(void **state)
{
	struct source_process process = { .pid = getpid() };
	struct migrate_options opts = { 0 };
	struct refusals refusals = { 0 };
	struct losses losses = { 0 };
	struct vma_list vmas;
	struct inspection look = {
		.opts = &opts, .losses = &losses, .process = &process, .vmas = &vmas,
		.attached = &process.attached,
	};
	struct renamed *renamed = &process.attached.renamed;
	char path[64], gone[64];
	struct proc_files files;
	struct error err = { 0 };
	struct stat st;

	assert_non_null(mkdtemp(names_dir));
	make_files();
	assert_int_equal(proc_files_read(getpid(), &files, &err), 0);
	assert_int_equal(maps_read(getpid(), true, &vmas, &err), 0);
	assert_int_equal(refuse_renamed(&look, &files, &refusals, &err), 0);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.first.what, "/far (deleted)"));
	/* looked for again, found once */
	assert_int_equal(refuse_renamed(&look, &files, &refusals, &err), 0);
	assert_int_equal(renamed->nr, 2);
	snprintf(path, sizeof(path), "%s/open.1", names_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_string_equal(renamed_find(renamed, &st), path);
	snprintf(path, sizeof(path), "%s/mapped.1", names_dir);
	snprintf(gone, sizeof(gone), "%s/mapped (deleted)", names_dir);
	assert_string_equal(renamed_find_gone(renamed, gone), path);
	/* a mapping that another file would have there */
	refuse_mappings(&look, &vmas);
	assert_int_equal(losses.nr, 1);
	assert_int_equal(losses.items[0].loss, LOSS_SHARED_MAPPING);
	assert_string_equal(losses.items[0].detail, gone);
	replaced_name(renamed, path);
	renamed_free(renamed);
	losses_free(&losses);
	proc_files_free(&files);
	maps_free(&vmas);
	remove_names();
}

static int runs_on(void *arg)
{
	for (;;)
		syscall(SYS_pause);
	return 0;
}

static char state_of(pid_t pid)
{
	struct proc_status status;

	return proc_status_read(pid, &status, &(struct error){ 0 }) ? 0 : status.state;
}

/* Return: a process whose main thread has ended, with @threads others */
static pid_t start_without_main(int threads)
{
	static char stacks[4][16384];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (threads--)
			clone(runs_on, stacks[threads + 1],
			      CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL);
		/* this thread alone */
		syscall(SYS_exit, 0);
	}
	while (state_of(pid) != 'Z')
		usleep(1000);
	return pid;
}

static void expect_refused(pid_t pid, const char *text)
{
	struct losses losses = { 0 };
	struct tree tree = { 0 };
	struct inspection terms = { .losses = &losses, .tree = &tree };
	struct error err = { 0 };

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(refuse_program(&terms, &tree, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, text));
	tree_destroy(&tree);
	losses_free(&losses);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void no_main_thread(void **state)
{
	expect_refused(start_without_main(0), " has exited and waits for its parent");
	expect_refused(start_without_main(1), " has ended, and 1 other thread runs on");
	expect_refused(start_without_main(3), " has ended, and 3 other threads run on");
}

/* What a look finds at a program; it ends the program. */
static void look(pid_t pid, int (*fn)(const struct inspection *, const struct tree *, struct error *),
		 void (*before)(struct source_process *), struct error *err)
{
	struct migrate_options opts = { 0 };
	struct criu_version criu = { 0 };
	struct losses losses = { .accepted = ~0UL };
	struct tree tree = { 0 };
	struct inspection terms = { .opts = &opts, .criu = &criu, .losses = &losses, .tree = &tree };
	struct source_process *root = tree_add(&tree, pid, err);

	memset(err, 0, sizeof(*err));
	assert_non_null(root);
	before(root);
	fn(&terms, &tree, err);
	tree_destroy(&tree);
	losses_free(&losses);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void was_inspected(struct source_process *root)
{
	root->inspected = true;
}

/* Its main thread ended between SETUP and the freeze. */
static void no_main_thread_any_more(void **state)
{
	struct error err;

	look(start_without_main(1), refuse_frozen, was_inspected, &err);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, " has ended, and 1 other thread runs on"));
}

static pid_t start(void (*body)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = 0; fd < 3; fd++)
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), fd);
	close_range(3, ~0U, 0);
	setsid();
	body();
	for (;;)
		pause();
}

static void nothing(void)
{
}

static void has_ended_since(struct source_process *root)
{
	root->status.tracer = 1;
	kill(root->pid, SIGKILL);
	while (state_of(root->pid) != 'Z')
		usleep(1000);
}

/* That its program cannot be read is not the reason. */
static void ends_before_the_look(void **state)
{
	struct error err;

	look(start(nothing), refuse_program, has_ended_since, &err);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, " is traced by process 1"));
}

static char stack[65536];

static int waits_20_ms(void *arg)
{
	const struct timespec time = { .tv_nsec = 20000000 };

	nanosleep(&time, NULL);
	return 0;
}

static void calls_vfork_all_the_time(void)
{
	for (;;)
		if (clone(waits_20_ms, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) < 0 ||
		    wait(NULL) < 0)
			_exit(1);
}

static int borrows(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return runs_on(arg);
}

static void lends_its_memory(void)
{
	clone(borrows, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
}

static void waits_for_its_child(void)
{
	if (!syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))
		borrows(NULL);
}

static void begins(struct source_process *root)
{
	/* until its descriptors, its session and its child are there */
	usleep(200000);
	proc_status_read(root->pid, &root->status, &(struct error){ 0 });
}

/* Each look may find a child, another one each time. */
static void many_children_that_borrow(void **state)
{
	struct error err;

	look(start(calls_vfork_all_the_time), refuse_program, begins, &err);
	assert_string_equal(err.what, "");
}

static void a_child_that_borrows_for_good(void **state)
{
	struct error err;

	look(start(lends_its_memory), refuse_program, begins, &err);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, " has the address space of its parent"));
}

static void a_child_that_is_waited_for_for_good(void **state)
{
	struct error err;

	look(start(waits_for_its_child), refuse_program, begins, &err);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "waits until a child of it calls exec"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renamed_files),
		cmocka_unit_test(no_main_thread),
		cmocka_unit_test(no_main_thread_any_more),
		cmocka_unit_test(ends_before_the_look),
		cmocka_unit_test(many_children_that_borrow),
		cmocka_unit_test(a_child_that_borrows_for_good),
		cmocka_unit_test(a_child_that_is_waited_for_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
