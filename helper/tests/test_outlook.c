// SPDX-License-Identifier: GPL-2.0
/* What of a program counts when its time frozen is predicted: all of its processes. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/page.h"
#include "source/outlook.h"

#define PAGES(nr)	((nr) * PAGE_BYTES)
#define MS		1000000UL

/* Of a file, with 3 pages that the program has written; its own, with 5; shared, with 7; reserved. */
static struct vma vmas[] = {
	{ .start = PAGES(16), .end = PAGES(32), .own_bytes = PAGES(3) },
	{ .start = PAGES(32), .end = PAGES(48), .own_bytes = PAGES(5), .anon = true },
	{ .start = PAGES(48), .end = PAGES(64), .own_bytes = PAGES(7), .shared = true },
	{ .start = PAGES(64), .end = PAGES(1064), .anon = true },
};

static struct tree tree;
static struct source_shms shms;

/* Return: a child that has no more descriptors than it inherited */
static pid_t start_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void add(pid_t pid, int threads)
{
	struct error err = { 0 };
	struct source_process *process = tree_add(&tree, pid, &err);

	assert_non_null(process);
	process->status.threads = threads;
	process->mm.vmas = (struct vma_list){ .vmas = vmas, .nr = 4 };
}

static int forget_all(void **state)
{
	for (size_t i = 0; i < tree.nr; i++)
		tree.processes[i]->mm.vmas = (struct vma_list){ 0 };
	tree_destroy(&tree);
	return 0;
}

static void look(struct outlook *outlook, unsigned int criu_major, bool drains)
{
	const struct criu_version criu = { .major = criu_major, .minor = 1 };
	struct error err = { 0 };

	cost_dir = "/nonexistent";
	*outlook = (struct outlook){ 0 };
	assert_int_equal(outlook_make(outlook, &tree, &shms, &criu, drains, &err), 0);
}

static void own_pages_of_files_go_by_images(void **state)
{
	struct outlook outlook;

	add(getpid(), 6);
	look(&outlook, 4, false);
	assert_int_equal(outlook.shape.processes, 1);
	assert_int_equal(outlook.shape.mappings, 4);
	assert_int_equal(outlook.shape.threads, 6);
	assert_true(outlook.shape.descriptors >= 3);
	assert_int_equal(outlook.shape.private_pages, 1032);
	assert_int_equal(outlook.shape.image_pages, 3);
	assert_int_equal(outlook.shape.drained_pages, 0);
}

/* Clean pages of files, which are resident too, stay where they are. */
static void own_pages_alone_are_drained(void **state)
{
	struct outlook outlook;

	add(getpid(), 6);
	look(&outlook, 4, true);
	assert_int_equal(outlook.shape.drained_pages, 8);
	assert_int_equal(outlook.shape.image_pages, 3);
}

static void all_processes_count(void **state)
{
	pid_t child = start_child();
	struct outlook one, two;

	add(getpid(), 6);
	look(&one, 3, true);
	add(child, 2);
	look(&two, 3, true);
	assert_int_equal(two.shape.processes, 2);
	assert_int_equal(two.shape.mappings, 8);
	assert_int_equal(two.shape.threads, 8);
	assert_true(two.shape.descriptors >= 6);
	assert_int_equal(two.shape.private_pages, 2 * 1032);
	assert_int_equal(two.shape.drained_pages, 2 * 8);
	assert_int_equal(two.shape.image_pages, 2 * 3);
	assert_true(two.here_ns > one.here_ns);
	/* CRIU's tables add up; of its buffers for the largest mapping one exists at a time */
	assert_int_equal(two.criu_bytes - one.criu_bytes, 1032 * 16);
	end_child(child);
}

/* Once, however many processes have it. */
static void shared_memory_counts(void **state)
{
	struct source_shm shm = { 0 }, *list[] = { &shm };
	struct error err = { 0 };
	struct outlook none, some;

	add(getpid(), 1);
	add(getpid(), 1);
	look(&none, 4, false);
	page_set_init(&shm.data);
	assert_int_equal(page_set_add(&shm.data, 0, 1 << 18, &err), 0);
	shms = (struct source_shms){ .list = list, .nr = 1 };
	look(&some, 4, false);
	assert_int_equal(none.shape.shared_pages, 0);
	assert_int_equal(some.shape.shared_pages, 1 << 18);
	assert_true(some.model_ns > none.model_ns + 50 * MS);
	shms = (struct source_shms){ 0 };
	page_set_destroy(&shm.data);
}

/* By --verify, or since the backend's bits may miss a write. */
static void comparison_counts(void **state)
{
	const struct criu_version criu = { .major = 4, .minor = 1 };
	struct outlook none, all = { .compares = true };
	struct error err = { 0 };

	add(getpid(), 1);
	look(&none, 4, false);
	assert_int_equal(outlook_make(&all, &tree, &shms, &criu, false, &err), 0);
	assert_int_equal(none.compare_ns, 0);
	assert_true(none.own_pages > 0);
	assert_int_equal(all.own_pages, none.own_pages);
	assert_true(all.compare_ns > 0);
	assert_int_equal(outlook_ns(&all), all.here_ns + all.compare_ns);
}

/* Such a process does not move. */
static void who_has_ended_does_not_count(void **state)
{
	pid_t child = start_child();
	struct outlook outlook;

	add(getpid(), 6);
	add(child, 2);
	end_child(child);
	look(&outlook, 4, false);
	assert_int_equal(outlook.shape.processes, 1);
	assert_int_equal(outlook.shape.threads, 6);
	assert_true(tree.processes[1]->gone);
}

/* What --max-downtime allows is compared with the sum. */
static void a_tree_takes_too_long(void **state)
{
	struct migrate_options opts = { .max_frozen_s = 60, .limits_downtime = true };
	struct outlook outlook = { .shape.processes = 50 };
	struct error err = { 0 };

	outlook.here_ns = 300 * MS;
	outlook.there_ns = 300 * MS;
	opts.max_downtime_ms = 700;
	assert_int_equal(outlook_check(&outlook, &opts, &err), 0);
	opts.max_downtime_ms = 500;
	assert_int_equal(outlook_check(&outlook, &opts, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
}

#define TREE_TEST(test) cmocka_unit_test_teardown(test, forget_all)

/* That a parent was in vfork() for a second says nothing of the next migration. */
static void waiting_for_a_moment_is_no_cost(void **state)
{
	struct frozen_time frozen = { .settling_ns = 1000 * MS };
	struct outlook outlook = { .model_ns = 100 * MS };
	char dir[] = "/tmp/outlook-XXXXXX", command[64];

	assert_non_null(mkdtemp(dir));
	cost_dir = dir;
	frozen.ns[MIGRATE__FROZEN_PART__DUMP] = 150 * MS;
	frozen.ns[MIGRATE__FROZEN_PART__GUARD] = 1050 * MS;
	for (int i = 0; i < 3; i++)
		outlook_keep(&outlook, "a-server", &frozen);
	assert_int_equal(cost_expect_ns(COST_DUMP, "a-server", 100 * MS), 200 * MS);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(own_pages_of_files_go_by_images),
		TREE_TEST(own_pages_alone_are_drained),
		TREE_TEST(all_processes_count),
		TREE_TEST(shared_memory_counts),
		TREE_TEST(comparison_counts),
		TREE_TEST(who_has_ended_does_not_count),
		TREE_TEST(a_tree_takes_too_long),
		cmocka_unit_test(waiting_for_a_moment_is_no_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
