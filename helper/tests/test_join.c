// SPDX-License-Identifier: GPL-2.0
/* Processes that join the tree. Linked with --wrap=backend_open: the tracker is one of the test. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/join.h"
#include "tests/fake_backend.h"
#include "tests/own_uffd.h"

/** struct word - between the test and the process that joins; @uffd: a descriptor of the process */
struct word {
	volatile bool begin, made, taken;
	int uffd;
};

static struct word *word;
static struct fake fake;
static int nr_opened, uffd;

/* As the write-protect tracker does: a mapping is under a userfaultfd, and the process has none. */
static void put_under_uffd(pid_t pid)
{
	word->begin = true;
	while (!word->made)
		usleep(1000);
	uffd = proc_fd_get(pid, word->uffd);
	word->taken = true;
	while (word->taken)
		usleep(1000);
}

struct backend *__wrap_backend_open(enum backend_kind kind, enum backend_tracker tracker, pid_t pid,
				    const struct backend_hold *hold, struct error *err)
{
	nr_opened++;
	if (!word->begin)
		put_under_uffd(pid);
	return &fake.backend;
}

static pid_t start(void)
{
	pid_t pid = fork();
	void *at;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(0, ~0U, 0);
	at = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	while (!word->begin)
		usleep(1000);
	word->uffd = make_uffd(at, 1);
	word->made = true;
	while (!word->taken)
		usleep(1000);
	close(word->uffd);
	word->taken = false;
	for (;;)
		pause();
}

struct bench {
	struct migrate_options opts;
	struct criu_version criu;
	struct losses losses;
	struct inspection terms;
	struct tree tree;
	struct guard guard;
	struct source_keeper *keeper;
	struct hold hold;
	struct join join;
	struct error err;
};

static int set_up(void **state)
{
	static struct bench bench;
	struct source_process *root;

	need_uffd();
	nr_opened = 0;
	uffd = -1;
	fake_init(&fake);
	word = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench = (struct bench){ .losses.accepted = ~0UL };
	bench.terms = (struct inspection){
		.opts = &bench.opts, .criu = &bench.criu, .losses = &bench.losses, .tree = &bench.tree,
	};
	bench.guard.group.kind = CGROUP_V2;
	cgroup_line(getpid(), CGROUP_V2, bench.guard.group.line, sizeof(bench.guard.group.line));
	bench.hold = (struct hold){ .keeper = &bench.keeper, .guard = &bench.guard };
	bench.join = (struct join){ .guard = &bench.guard, .hold = &bench.hold, .terms = &bench.terms };
	root = tree_add(&bench.tree, getpid(), &bench.err);
	root->mm.backend = &fake.backend;
	root->inspected = true;
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	pid_t pid = bench->tree.processes[1]->pid;

	if (uffd >= 0)
		close(uffd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tree_destroy(&bench->tree);
	losses_free(&bench->losses);
	munmap(word, PAGE_BYTES);
	return 0;
}

/* The userfaultfd of the tracker is none of the program's, not at the freeze either. */
static void the_look_comes_before_the_tracker(void **state)
{
	struct bench *bench = *state;
	struct source_process *process = tree_add(&bench->tree, start(), &bench->err);

	assert_int_equal(join_later(&bench->join, process, &bench->err), 0);
	assert_int_equal(nr_opened, 1);
	assert_ptr_equal(process->mm.backend, &fake.backend);
	/* the next look sees it */
	assert_int_equal(refuse_joining(&bench->terms, process, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "under a userfaultfd"));
	memset(&bench->err, 0, sizeof(bench->err));
	assert_int_equal(refuse_frozen(&bench->terms, &bench->tree, &bench->err), 0);
}

static void a_userfaultfd_of_its_own_is_refused(void **state)
{
	struct bench *bench = *state;
	struct source_process *process = tree_add(&bench->tree, start(), &bench->err);

	put_under_uffd(process->pid);
	assert_int_equal(join_later(&bench->join, process, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	assert_non_null(strstr(bench->err.what, "under a userfaultfd"));
	assert_int_equal(nr_opened, 0);
}

/* It was in the list of processes a moment ago. */
static void a_zombie_joins_nothing(void **state)
{
	struct bench *bench = *state;
	struct source_process *process = tree_add(&bench->tree, start(), &bench->err);

	process->status.state = 'Z';
	assert_int_equal(join_later(&bench->join, process, &bench->err), 0);
	assert_true(process->gone);
	assert_int_equal(nr_opened, 0);
	process->gone = false;
	assert_int_equal(join_in_setup(&bench->join, process, &bench->err), 0);
	assert_true(process->gone);
}

static pid_t start_elsewhere(int flag)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	word->made = unshare(flag) == 0;
	word->begin = true;
	for (;;)
		pause();
}

/* Before the destination hears of the process: in a new PID namespace its pid would be 1, as another's. */
static void expect_refusal(struct bench *bench, int flag, const char *text)
{
	struct source_process *process = tree_add(&bench->tree, start_elsewhere(flag), &bench->err);

	while (!word->begin)
		usleep(1000);
	assert_true(word->made);
	assert_int_equal(join_later(&bench->join, process, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	assert_non_null(strstr(bench->err.what, text));
	assert_int_equal(nr_opened, 0);
}

static void another_namespace_is_refused_at_once(void **state)
{
	expect_refusal(*state, CLONE_NEWUTS, "is in another UTS namespace");
}

/* unshare() makes these for children alone, and CRIU looks at the process itself. */
static void a_namespace_for_children_is_refused_at_once(void **state)
{
	expect_refusal(*state, CLONE_NEWPID, "are in another PID namespace");
}

static void a_time_namespace_for_children_is_refused_at_once(void **state)
{
	expect_refusal(*state, CLONE_NEWTIME, "are in another time namespace");
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_look_comes_before_the_tracker),
		BENCH_TEST(a_userfaultfd_of_its_own_is_refused),
		BENCH_TEST(a_zombie_joins_nothing),
		BENCH_TEST(another_namespace_is_refused_at_once),
		BENCH_TEST(a_namespace_for_children_is_refused_at_once),
		BENCH_TEST(a_time_namespace_for_children_is_refused_at_once),
	};

	/* make and shells leave pipes open */
	close_range(3, ~0U, 0);
	/* a session from outside of the PID namespace, as in a container, is refused */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
