/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program that is to be frozen, and all that freeze_tree() needs. CRIU is a stand-in
 * (tests/criu_dump_fake.h). Included by one test.
 */
#ifndef MIGRATE_TESTS_FREEZE_KIT_H
#define MIGRATE_TESTS_FREEZE_KIT_H

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "source/freeze.h"
#include "tests/counting.h"
#include "tests/criu_dump_fake.h"
#include "tests/criu_images.h"
#include "tests/fake_backend.h"

#define LATER_MS	30000

/** begin() - by the test: what the program does first. It leads a session, and has no descriptor */
static void begin(void);

/** enum step - a step of the backend that fails */
enum step { STEP_NONE, STEP_SETTLE, STEP_SCAN, STEP_GIVE_UP };

/**
 * struct kit - a program that counts, and what freeze_tree() needs
 * @home: its control groups before
 * @ops, @fails: of the backend
 * @scanned, @gave_up: the backend's steps, which were seen in order
 */
struct kit {
	struct fake fake;
	struct backend_ops ops;
	enum step fails;
	bool scanned, gave_up;
	struct counting program;
	char dir[64], home[4096];
	struct test_dir bin, images, work, parent;
	struct workdir workdir;
	struct record record;
	struct guard guard;
	struct tree tree;
	struct source_shms shms;
	struct sender sender;
	struct conn conn;
	int peer;
	struct migrate_options opts;
	struct criu_version criu;
	struct losses losses;
	struct inspection terms;
	struct mailbox box;
	struct source_failure failure;
	struct watch watch;
	struct figures figures;
	struct freeze freeze;
	struct error err;
};

static struct kit *kit;

static int fail_at(enum step step, struct error *err)
{
	return kit->fails == step ? error_set(err, CODE_TARGET, NULL, "this is a test") : 0;
}

static bool has_image(const char *name)
{
	return !faccessat(kit->images.fd, name, F_OK, 0);
}

static int on_settle(struct backend *backend, struct backend_settled *settled, struct error *err)
{
	assert_false(kit->freeze.guarded);
	return fail_at(STEP_SETTLE, err);
}

/* A write after the last scan would be lost. */
static int on_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct cgroup *group = &kit->guard.group;

	assert_true(group->kind == CGROUP_NONE || cgroup_is_told_to_freeze(group));
	assert_false(has_image("asked"));
	kit->scanned = true;
	return fail_at(STEP_SCAN, err);
}

static int on_give_up(struct backend *backend, struct error *err)
{
	assert_true(kit->scanned);
	assert_false(has_image("asked"));
	kit->gave_up = true;
	return fail_at(STEP_GIVE_UP, err);
}

static void read_groups(char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", kit->program.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = 0;
	close(fd);
}

static void make_dirs(void)
{
	criu_fake_install(&kit->bin);
	dir_make(&kit->images);
	dir_make(&kit->work);
	dir_make(&kit->parent);
	strcpy(kit->dir, "/tmp/test-freeze-XXXXXX");
	assert_non_null(mkdtemp(kit->dir));
	kit->workdir.images_fd = kit->images.fd;
	kit->workdir.work_fd = kit->work.fd;
	kit->workdir.parent_fd = kit->parent.fd;
}

static int refuse_join(void *ctx, struct source_process *process, struct error *err)
{
	return error_set(err, CODE_REFUSED, NULL, "process %d cannot be moved", process->pid);
}

static int make_guard(void)
{
	struct source_process *process = tree_add(&kit->tree, kit->program.pid, &kit->err);
	char id[32];

	if (!process)
		return -1;
	process->mm.backend = &kit->fake.backend;
	process->mm.tracked = true;
	process->inspected = true;
	snprintf(id, sizeof(id), "test-%d", kit->program.pid);
	if (guard_plan(&kit->guard, kit->program.pid, false, id, &kit->err))
		return -1;
	kit->record.guard = kit->guard;
	kit->record.start_ticks = process->status.start_ticks;
	kit->freeze.keeper = source_keeper_start(&kit->record, kit->dir, &kit->err);
	return kit->freeze.keeper ? 0 : -1;
}

static void wire(void)
{
	kit->criu = (struct criu_version){ .major = 4, .minor = 1, .sublevel = 1 };
	kit->losses.accepted = ~0UL;
	kit->terms = (struct inspection){
		.tree = &kit->tree, .opts = &kit->opts, .criu = &kit->criu, .losses = &kit->losses,
	};
	kit->freeze.tree = &kit->tree;
	kit->freeze.shms = &kit->shms;
	kit->freeze.join = refuse_join;
	kit->freeze.sender = &kit->sender;
	kit->freeze.dir = &kit->workdir;
	kit->freeze.guard = &kit->guard;
	kit->freeze.connections = &kit->record.connections;
	kit->freeze.terms = &kit->terms;
	kit->freeze.failure = &kit->failure;
	kit->freeze.watch = &kit->watch;
	kit->freeze.figures = &kit->figures;
	kit->freeze.max_frozen_s = 600;
	kit->freeze.criu_log_level = 2;
}

static int set_up(void **state)
{
	int pair[2];

	kit = calloc(1, sizeof(*kit));
	fake_init(&kit->fake);
	kit->ops = fake_ops;
	kit->ops.settle = on_settle;
	kit->ops.scan = on_scan;
	kit->ops.give_up = on_give_up;
	kit->fake.backend.ops = &kit->ops;
	make_dirs();
	counting_start(&kit->program, begin);
	read_groups(kit->home, sizeof(kit->home));
	mailbox_init(&kit->box, "the destination");
	source_failure_init(&kit->failure, &kit->box);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	kit->conn = (struct conn){ .fd = pair[0] };
	kit->peer = pair[1];
	wire();
	return make_guard() || watch_init(&kit->watch, &kit->box, &kit->err) ||
	       sender_init(&kit->sender, &kit->conn, true, &kit->err) ? -1 : 0;
}

static int tear_down(void **state)
{
	watch_destroy(&kit->watch);
	source_keeper_end(kit->freeze.keeper, false);
	kill(kit->program.pid, SIGKILL);
	waitpid(kit->program.pid, NULL, 0);
	guard_forget(&kit->guard);
	tree_destroy(&kit->tree);
	sender_destroy(&kit->sender);
	conn_close(&kit->conn);
	close(kit->peer);
	close(kit->guard.pidfd);
	losses_free(&kit->losses);
	mailbox_destroy(&kit->box);
	dir_remove(&kit->bin);
	dir_remove(&kit->images);
	dir_remove(&kit->work);
	dir_remove(&kit->parent);
	munmap((void *)kit->program.count, 4096);
	free(kit);
	return 0;
}

static int freeze(bool stands_first, enum step fails, enum act act)
{
	char text = '0' + act;

	kit->fake.backend.stands_first = stands_first;
	kit->fails = fails;
	file_write(kit->images.fd, "act", &text, 1);
	return freeze_tree(&kit->freeze, &kit->err);
}

static bool has_record(void)
{
	char path[PATH_MAX];

	record_path(kit->dir, RECORD_GUARD, path, sizeof(path));
	return !access(path, F_OK);
}

/* As if nothing had been done to it. @keeper: it lives, and has taken its record back */
static void expect_undone(bool keeper)
{
	char groups[4096];

	freeze_undo(&kit->freeze);
	assert_true(counting_runs(&kit->program));
	assert_null(kit->freeze.dump);
	read_groups(groups, sizeof(groups));
	assert_string_equal(groups, kit->home);
	assert_false(cgroup_exists(&kit->guard.group));
	if (keeper)
		assert_false(has_record());
	assert_int_equal(kit->figures.frozen_ns != 0, kit->freeze.at_ns != 0);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
