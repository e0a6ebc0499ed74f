// SPDX-License-Identifier: GPL-2.0
/* Looks at all processes of a tree. Linked with --wrap of the functions below: the test acts between two looks. */
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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/cgroup.h"
#include "tests/inspected.h"
#include "tests/real_walks.h"

#define WRITERS	20

static int nr_walks, nr_blind;
static pid_t to_kill;
int __wrap_proc_links(proc_link_fn fn, void *ctx, struct error *err)
{
	nr_walks++;
	if (to_kill)
		kill(to_kill, SIGKILL);
	to_kill = 0;
	/* as if all that is open had been opened since */
	if (!nr_blind)
		return __real_proc_links(fn, ctx, err);
	nr_blind--;
	return 0;
}

static int nr_mounts;

bool __wrap_cgroup_mounts_walk(const char *mountinfo, const char *controllers, cgroup_mount_fn fn, void *ctx)
{
	nr_mounts++;
	return __real_cgroup_mounts_walk(mountinfo, controllers, fn, ctx);
}

static size_t nr_sleeps;
static uint32_t nr_threads;

/* @nr_threads: as if each process had so many; 0: as it is */
int __wrap_proc_stat_read(pid_t pid, struct proc_status *status, struct error *err)
{
	int ret = __real_proc_stat_read(pid, status, err);

	status->threads = nr_threads ?: status->threads;
	return ret;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	nr_sleeps++;
	return __real_nanosleep(time, left);
}

static char path[40];

static void make_file(void)
{
	int fd;

	strcpy(path, "/tmp/test_refuse_tree.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

/* A child that writes to a file. */
static void root_of_a_writer(void)
{
	int ends[2];

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (open(path, O_RDWR) < 0 || pipe(ends))
		_exit(1);
	close(ready[1]);
	for (;;)
		pause();
}

static void root_of_writers(void)
{
	for (int i = 0; i < WRITERS; i++)
		root_of_a_writer();
}

static struct cgroup group;

static void root_in_a_group(void)
{
	if (!cgroup_add(&group, 0))
		root_of_writers();
}

/* Limits of one group are read once, however many processes are in it. */
static void a_group_is_looked_at_once(void **state)
{
	struct bench *bench;
	char name[32];

	snprintf(name, sizeof(name), "test-refuse-%d", getpid());
	if (cgroup_plan(&group, 0, CGROUP_TOP, name))
		skip();
	make_file();
	assert_int_equal(cgroup_make(&group, &(struct error){ 0 }), 0);
	bench = start(root_in_a_group);
	assert_int_equal(bench->tree.nr, WRITERS + 1);
	nr_mounts = 0;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	/* with cgroup v1: for each of its hierarchies */
	assert_in_range(nr_mounts, 1, WRITERS - 1);
	assert_true(bench->losses.count[LOSS_CGROUP]);
	end(bench);
	unlink(path);
	for (int ms = 0; ms < 5000 && rmdir(group.dir); ms++)
		usleep(1000);
}

/* A process that has just ended looks as if something spoke against it: the wait for its end is one for all. */
static void many_children_are_refused_soon(void **state)
{
	struct bench *bench;

	make_file();
	bench = start(root_of_writers);
	nr_walks = 0;
	assert_int_equal(bench->tree.nr, WRITERS + 1);
	nr_sleeps = 0;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.hint, "--accept-loss writable-file"));
	/* of a millisecond each; 100 in all, and those of refuse_borrowers() */
	assert_in_range(nr_sleeps, 0, 200);
	/* the first look, and that at the first one that is refused */
	assert_in_range(nr_walks, 1, 4);
	end(bench);
	unlink(path);
}

/* It ends in the midst of the look at it: what was found of it means nothing. */
static void a_child_that_ends_refuses_nobody(void **state)
{
	struct bench *bench;

	make_file();
	bench = start(root_of_a_writer);
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.hint, "--accept-loss writable-file"));
	end(bench);

	bench = start(root_of_a_writer);
	to_kill = bench->tree.processes[1]->pid;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(to_kill, 0);
	assert_true(bench->tree.processes[1]->gone);
	assert_int_equal(bench->losses.count[LOSS_WRITABLE_FILE], 0);
	end(bench);
	unlink(path);
}

/* A process that began since SETUP is looked at while the program runs. */
static void who_joined_is_looked_at_before_the_freeze(void **state)
{
	struct bench *bench;

	make_file();
	bench = start(root_of_a_writer);
	tree_root(&bench->tree)->inspected = true;
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.hint, "--accept-loss writable-file"));
	assert_true(bench->tree.processes[1]->inspected);
	end(bench);
	unlink(path);
}

/* Each has one end of a pipe. */
static void root_of_a_reader(void)
{
	int ends[2];

	if (pipe(ends))
		_exit(1);
	if (fork()) {
		close(ends[0]);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(ends[0] + 1, ~0U, 0);
	for (;;)
		pause();
}

/* The first list lacks it: nobody is refused for that. */
static void a_pipe_that_was_made_since_the_list(void **state)
{
	struct bench *bench = start(root_of_a_reader);

	nr_blind = 1;
	nr_walks = 0;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	/* the second look at each of the two has new lists */
	assert_int_equal(nr_walks, 3);
	assert_int_equal(bench->losses.count[LOSS_PIPE], 0);
	end(bench);
}

/* A child, and a child of it which reads from a pipe of the root. */
static void root_of_an_orphan(void)
{
	int ends[2];

	if (pipe(ends))
		_exit(1);
	if (fork()) {
		close(ends[0]);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!fork()) {
		alarm(60);
		close_range(ends[0] + 1, ~0U, 0);
		for (;;)
			pause();
	}
	close_range(3, ~0U, 0);
	for (;;)
		pause();
}

static struct source_process *child_of(const struct bench *bench, pid_t pid)
{
	struct source_process *process;

	tree_for_each(&bench->tree, process)
		if (process->status.ppid == pid)
			return process;
	return NULL;
}

/* The grandchild stays here then. Nothing that the root has is another one. */
static void the_other_end_of_a_pipe_leaves_the_tree(void **state)
{
	struct bench *bench = start(root_of_an_orphan);
	pid_t child = child_of(bench, bench->pid)->pid, orphan = child_of(bench, child)->pid;
	char text[64];

	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), 0);
	nr_walks = 0;
	assert_int_equal(refuse_frozen(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(nr_walks, 0);
	kill(child, SIGKILL);
	while (child_of(bench, child))
		follow(bench);
	assert_int_equal(refuse_frozen(&bench->terms, &bench->tree, &bench->err), -1);
	snprintf(text, sizeof(text), "leads to process %d ", orphan);
	assert_non_null(strstr(bench->err.what, text));
	assert_non_null(strstr(bench->err.hint, "--accept-loss pipe"));
	/* and before the freeze too, if it is seen by then */
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.hint, "--accept-loss pipe"));
	kill(orphan, SIGKILL);
	end(bench);
}

/* A pidfd of a child, and one of the test. */
static void root_with_pidfds(void)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[1]);
		for (;;)
			pause();
	}
	if (syscall(SYS_pidfd_open, child, 0) < 0 || syscall(SYS_pidfd_open, getppid(), 0) < 0)
		_exit(1);
}

/* CRIU carries that of a process that moves too. */
static void a_pidfd_of_a_child(void **state)
{
	struct bench *bench = start(root_with_pidfds);
	char text[64];

	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	snprintf(text, sizeof(text), "is a pidfd of process %d ", getpid());
	/* the only reason */
	assert_non_null(strstr(bench->err.what, text));
	end(bench);
}

/* A list with one process again and again. */
static void too_many_processes(void **state)
{
	static struct source_process *processes[OBJECTS_MAX + 1];
	struct bench *bench = start(root_of_a_reader);
	struct tree own = bench->tree;

	for (size_t i = 0; i <= OBJECTS_MAX; i++)
		processes[i] = own.processes[0];
	bench->tree.processes = processes;
	bench->tree.nr = OBJECTS_MAX + 1;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "has 2049 processes"));
	bench->tree = own;
	end(bench);
}

/* The sum counts. */
static void too_many_threads(void **state)
{
	struct bench *bench = start(root_of_a_reader);

	for (size_t i = 0; i < 2; i++)
		bench->tree.processes[i]->status.threads = 32768;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	bench->tree.processes[1]->status.threads++;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "has 65537 threads"));
	end(bench);
}

/* They begin while pages are sent: all that is sent would be for nothing. */
static void too_many_threads_before_the_freeze(void **state)
{
	struct bench *bench = start(root_of_a_reader);

	for (size_t i = 0; i < 2; i++)
		bench->tree.processes[i]->inspected = true;
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), 0);
	nr_threads = 32769;
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), -1);
	nr_threads = 0;
	assert_non_null(strstr(bench->err.what, "has 65538 threads"));
	end(bench);
}

static void root_of_a_namespace(void)
{
	if (unshare(CLONE_NEWIPC))
		_exit(1);
	root_of_a_reader();
}

/* A process of the test that enters the IPC namespace of @pid. */
static pid_t enter_ipc(pid_t pid)
{
	int done[2], fd;
	char path[48], byte;
	pid_t child;

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "/proc/%d/ns/ipc", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (setns(fd, CLONE_NEWIPC))
			_exit(1);
		close(fd);
		close(done[0]);
		close(done[1]);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 0);
	close(done[0]);
	return child;
}

/* Its objects would be copies. It may come after SETUP. */
static void an_outsider_in_the_ipc_namespace(void **state)
{
	struct bench *bench = start(root_of_a_namespace);
	char text[64];
	pid_t outsider;

	for (size_t i = 0; i < 2; i++)
		bench->tree.processes[i]->inspected = true;
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), 0);
	outsider = enter_ipc(bench->pid);
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), -1);
	snprintf(text, sizeof(text), "process %d (", outsider);
	assert_non_null(strstr(bench->err.what, text));
	assert_non_null(strstr(bench->err.hint, "--accept-loss ipc-namespace"));
	memset(&bench->err, 0, sizeof(bench->err));
	bench->losses.accepted = 1UL << LOSS_IPC_NAMESPACE;
	losses_renew(&bench->losses, ~0UL);
	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	bench->losses.accepted = 0;
	kill(outsider, SIGKILL);
	waitpid(outsider, NULL, 0);
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), 0);
	losses_free(&bench->losses);
	end(bench);
}

/* The one of the machine, which the helper has too, is not for CRIU to copy. */
static void the_ipc_namespace_of_the_machine(void **state)
{
	struct bench *bench = start(root_of_a_reader);

	assert_int_equal(refuse_ipc(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(bench->losses.count[LOSS_IPC_NAMESPACE], 0);
	end(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_ends_refuses_nobody),
		cmocka_unit_test(many_children_are_refused_soon),
		cmocka_unit_test(a_group_is_looked_at_once),
		cmocka_unit_test(who_joined_is_looked_at_before_the_freeze),
		cmocka_unit_test(a_pidfd_of_a_child),
		cmocka_unit_test(an_outsider_in_the_ipc_namespace),
		cmocka_unit_test(the_ipc_namespace_of_the_machine),
		cmocka_unit_test(too_many_threads_before_the_freeze),
		cmocka_unit_test(too_many_threads), cmocka_unit_test(too_many_processes),
		cmocka_unit_test(a_pipe_that_was_made_since_the_list),
		cmocka_unit_test(the_other_end_of_a_pipe_leaves_the_tree),
	};

	/* make and shells leave pipes open */
	close_range(3, ~0U, 0);
	/* a session from outside of the PID namespace, as in a container, is refused */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
