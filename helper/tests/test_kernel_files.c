// SPDX-License-Identifier: GPL-2.0
/* Files of /proc and /sys: those that are open for a moment, and those that a program keeps open. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/proc_tree.h"
#include "source/unsettled.h"

#define TRIES	20

/** struct kit - @pid: a process that opens the path that it is told at @fd, closes what it has at "", and forks at "+" */
struct kit {
	pid_t pid;
	int fd;
	struct tree tree;
	struct kernel_files known;
	struct unsettled found;
	struct error err;
};

static void have_child(void)
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the test may be over */
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void obey(int fd)
{
	char path[64], done = 0;
	int opened = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, path, sizeof(path)) > 0) {
		if (*path == '+')
			have_child();
		else if (*path)
			opened = open(path, O_RDONLY);
		else
			close(opened);
		if (opened < 0 || write(fd, &done, 1) != 1)
			break;
	}
	_exit(0);
}

static void tell(const struct kit *kit, const char *path)
{
	char done;

	assert_true(write(kit->fd, path, strlen(path) + 1) > 0);
	assert_int_equal(read(kit->fd, &done, 1), 1);
}

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	int fds[2];

	*state = kit;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	kit->fd = fds[0];
	kit->pid = fork();
	if (!kit->pid)
		obey(fds[1]);
	close(fds[1]);
	assert_non_null(tree_add(&kit->tree, kit->pid, &kit->err));
	return 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	kill(kit->pid, SIGKILL);
	waitpid(kit->pid, NULL, 0);
	close(kit->fd);
	kernel_files_free(&kit->known);
	tree_destroy(&kit->tree);
	free(kit);
	return 0;
}

static void learn(struct kit *kit)
{
	kernel_files_free(&kit->known);
	assert_int_equal(kernel_files_learn(&kit->known, &kit->tree, &kit->err), 0);
}

/* Return: the process that has such a file, or 0 */
static pid_t find(struct kit *kit)
{
	assert_int_equal(unsettled_find_file(&kit->tree, &kit->known, &kit->found, &kit->err), 0);
	return kit->found.pid;
}

static void one_that_is_open_for_a_moment(void **state)
{
	static const char *const paths[] = { "/sys/kernel/mm", "/proc/meminfo", "/proc/self/stat", "/proc/net/dev" };
	struct kit *kit = *state;

	learn(kit);
	assert_int_equal(find(kit), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		tell(kit, paths[i]);
		assert_int_equal(find(kit), kit->pid);
		assert_true(kit->found.may_go);
		tell(kit, "");
		assert_int_equal(find(kit), 0);
	}
}

/* The machine's /proc in a container is somewhere else. */
static void one_of_another_procfs(void **state)
{
	char dir[] = "/tmp/procfs-XXXXXX", path[64];
	struct kit *kit = *state;
	pid_t found;

	assert_non_null(mkdtemp(dir));
	if (mount("proc", dir, "proc", 0, NULL)) {
		rmdir(dir);
		skip();
	}
	learn(kit);
	snprintf(path, sizeof(path), "%s/meminfo", dir);
	tell(kit, path);
	found = find(kit);
	tell(kit, "");
	assert_int_equal(umount(dir), 0);
	rmdir(dir);
	assert_int_equal(found, kit->pid);
}

static void a_file_of_the_machine(void **state)
{
	struct kit *kit = *state;

	learn(kit);
	tell(kit, "/etc/passwd");
	assert_int_equal(find(kit), 0);
}

static void one_that_is_kept_open(void **state)
{
	struct kit *kit = *state;

	tell(kit, "/proc/meminfo");
	learn(kit);
	assert_int_equal(kit->known.nr, 1);
	assert_int_equal(find(kit), 0);
	/* another one of that descriptor */
	tell(kit, "");
	tell(kit, "/proc/stat");
	assert_int_equal(find(kit), kit->pid);
}

/* A server makes workers all the time, which have what it keeps open. */
static void one_that_a_child_has_since(void **state)
{
	struct kit *kit = *state;
	size_t nr = 0;
	pid_t *pids;

	tell(kit, "/proc/meminfo");
	learn(kit);
	tell(kit, "+");
	assert_int_equal(proc_tree(kit->pid, &pids, &nr, &kit->err), 0);
	assert_int_equal(nr, 2);
	assert_non_null(tree_add(&kit->tree, pids[1], &kit->err));
	free(pids);
	assert_int_equal(find(kit), 0);
}

/* It is closed between the looks, unless this machine is too busy for that. */
static void learn_and_close(struct kit *kit)
{
	pid_t teller;

	tell(kit, "/proc/meminfo");
	teller = fork();
	if (!teller) {
		usleep(1000);
		tell(kit, "");
		_exit(0);
	}
	learn(kit);
	waitpid(teller, NULL, 0);
}

static void one_that_comes_and_goes(void **state)
{
	struct kit *kit = *state;

	for (int i = 0; i < TRIES && (!i || kit->known.nr); i++)
		learn_and_close(kit);
	assert_int_equal(kit->known.nr, 0);
	tell(kit, "/proc/meminfo");
	assert_int_equal(find(kit), kit->pid);
}

static void one_that_has_ended(void **state)
{
	struct kit *kit = *state;

	tell(kit, "/proc/meminfo");
	kill(kit->pid, SIGKILL);
	waitpid(kit->pid, NULL, 0);
	learn(kit);
	assert_int_equal(find(kit), 0);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(one_that_is_open_for_a_moment), KIT_TEST(one_of_another_procfs),
		KIT_TEST(a_file_of_the_machine),
		KIT_TEST(one_that_is_kept_open), KIT_TEST(one_that_comes_and_goes),
		KIT_TEST(one_that_a_child_has_since), KIT_TEST(one_that_has_ended),
	};

	/* what is mounted here is gone with the test */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		perror("no mounts of its own");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
