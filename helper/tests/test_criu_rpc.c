// SPDX-License-Identifier: GPL-2.0
/* The dump over CRIU's RPC: it is begun, held, refused or killed. */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include "tests/criu_rpc_fake.h"

static bool has_mark(struct fixture *f, const char *name)
{
	return !faccessat(f->images.fd, name, F_OK, 0);
}

/* A dump, and how often its task was let run. */
struct hooks {
	struct criu_dump *dump;
	int undone;
};

static int refuse_to_stand(void *ctx, struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "it does not stand");
}

static int stand(void *ctx, struct error *err)
{
	return 0;
}

static void undo(void *ctx)
{
	struct hooks *hooks = ctx;

	hooks->undone++;
}

/*
 * A task that was made to stand runs again, whatever ended the dump. A CRIU that never asked whether it may
 * begin has dumped a task that ran.
 */
static void test_undone_once(void **state)
{
	int (*const before[])(void *ctx, struct error *err) = {
		refuse_to_stand, stand, stand, stand,
	};
	static const enum act acts[] = { ACT_HOLD, ACT_FAIL, ACT_DIE, ACT_HASTY };
	struct fixture *f = *state;

	for (size_t i = 0; i < 4; i++) {
		struct hooks hooks = { 0 };
		struct criu_dump_opts opts = {
			.pid = acts[i], .images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd,
			.log_level = 2, .before = before[i], .undo = undo, .before_ctx = &hooks,
		};
		struct error err = { 0 };

		assert_int_equal(criu_dump_prepare(&opts, &hooks.dump, &err), 0);
		assert_int_equal(criu_dump_start(&opts, &hooks.dump, &err), -1);
		assert_null(hooks.dump);
		assert_int_equal(hooks.undone, 1);
	}
}

/* CRIU may wait for a file system that does not answer, before the task stands. */
static void test_not_begun_in_time(void **state)
{
	struct fixture *f = *state;
	struct hooks hooks = { 0 };
	struct criu_dump_opts opts = {
		.pid = ACT_IDLE, .images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd,
		.log_level = 2, .before = stand, .begin_ms = 200, .undo = undo, .before_ctx = &hooks,
	};

	assert_int_equal(criu_dump_prepare(&opts, &hooks.dump, &f->err), 0);
	assert_int_equal(criu_dump_start(&opts, &hooks.dump, &f->err), -1);
	assert_null(hooks.dump);
	assert_int_equal(f->err.code, CODE_CRIU);
	assert_non_null(strstr(f->err.what, "it did not begin within 200 ms"));
	memset(&f->err, 0, sizeof(f->err));
	/* one that has begun is not looked at */
	opts.pid = ACT_SLOW;
	assert_int_equal(criu_dump_prepare(&opts, &hooks.dump, &f->err), 0);
	assert_int_equal(criu_dump_start(&opts, &hooks.dump, &f->err), 0);
	criu_dump_kill(hooks.dump);
}

/* A dump that is held is not undone. */
static void test_no_undo_when_held(void **state)
{
	struct fixture *f = *state;
	struct hooks hooks = { 0 };
	struct criu_dump_opts opts = {
		.pid = ACT_HOLD, .images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd,
		.log_level = 2, .before = stand, .undo = undo, .before_ctx = &hooks,
	};

	assert_int_equal(criu_dump_prepare(&opts, &hooks.dump, &f->err), 0);
	assert_int_equal(criu_dump_start(&opts, &hooks.dump, &f->err), 0);
	assert_int_equal(hooks.undone, 0);
	criu_dump_kill(hooks.dump);
}

static void test_version(void **state)
{
	struct fixture *f = *state;
	struct criu_version version;

	assert_int_equal(criu_version_get(&version, &f->err), 0);
	assert_int_equal(version.major, 3);
	assert_int_equal(version.minor, 17);
	assert_int_equal(version.sublevel, 1);
}

static void test_not_installed(void **state)
{
	struct fixture *f = *state;
	struct criu_version version;

	/* found, so that a real one in /usr/sbin is not tried, but it cannot run */
	unlinkat(f->bin.fd, "criu", 0);
	file_write(f->bin.fd, "criu", "", 0);
	assert_int_equal(criu_version_get(&version, &f->err), -1);
	assert_int_equal(f->err.code, CODE_NOT_READY);
	memset(&f->err, 0, sizeof(f->err));
	assert_int_equal(criu_check(&f->err), -1);
	assert_int_equal(f->err.code, CODE_NOT_READY);
}

static void test_hold_and_refuse(void **state)
{
	struct fixture *f = *state;
	struct criu_dump *dump;
	char config[PATH_MAX] = "", wanted[PATH_MAX], work[PATH_MAX - 32];
	pid_t pid;

	assert_int_equal(start(f, ACT_HOLD, &dump), 0);
	pid = criu_dump_pid(dump);
	assert_int_equal(kill(pid, 0), 0);
	assert_true(has_mark(f, "fds-are-right"));
	assert_false(has_mark(f, "let-go"));
	file_read(f->work.fd, "criu-dump.conf", config, sizeof(config) - 1);
	/* the work directory has no plugin */
	assert_int_equal(rpc_path(f->work.fd, NULL, work, sizeof(work), &f->err), 0);
	snprintf(wanted, sizeof(wanted), "ps-socket 4\nlibdir \"%s\"\n", work);
	assert_string_equal(config, wanted);
	assert_int_equal(criu_dump_refuse(dump, &f->err), 0);
	assert_true(has_mark(f, "let-go"));
	assert_true(has_mark(f, "unlocked"));
	assert_false(has_mark(f, "hung-up"));
	assert_int_equal(kill(pid, 0), -1);
}

/* A CRIU that somebody has stopped is let go on: killed, it would take the program along. */
static void test_stopped_and_refuse(void **state)
{
	struct fixture *f = *state;
	struct criu_dump *dump;

	assert_int_equal(start(f, ACT_HOLD, &dump), 0);
	kill(criu_dump_pid(dump), SIGSTOP);
	assert_true(criu_dump_is_held(dump));
	assert_int_equal(criu_dump_refuse(dump, &f->err), 0);
	assert_true(has_mark(f, "unlocked"));
}

static void test_is_held(void **state)
{
	struct fixture *f = *state;
	struct criu_dump *dump;
	bool held = true;

	assert_int_equal(start(f, ACT_DIE_HELD, &dump), 0);
	for (int i = 0; i < 500 && held; i++) {
		held = criu_dump_is_held(dump);
		usleep(10000);
	}
	assert_false(held);
	criu_dump_refuse(dump, &f->err);
}

static void test_hold_and_kill(void **state)
{
	struct fixture *f = *state;
	struct criu_dump *dump;
	pid_t pid;

	assert_int_equal(start(f, ACT_HOLD, &dump), 0);
	pid = criu_dump_pid(dump);
	criu_dump_kill(dump);
	assert_int_equal(kill(pid, 0), -1);
	assert_false(has_mark(f, "let-go"));
}

/* The process that holds a dump dies: CRIU finds out. */
static void test_hang_up(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	int status;

	if (!child) {
		struct criu_dump *dump;

		_exit(start(f, ACT_HOLD, &dump) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 500 && !has_mark(f, "hung-up"); i++)
		usleep(10000);
	/* the stand-in finds the directory by its parent's pid, which has changed */
	assert_false(has_mark(f, "unlocked"));
}

static void test_die_held(void **state)
{
	struct fixture *f = *state;
	struct criu_dump *dump;

	assert_int_equal(start(f, ACT_DIE_HELD, &dump), 0);
	assert_int_equal(criu_dump_refuse(dump, &f->err), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_undone_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_begun_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_undo_when_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_installed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_and_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_and_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_and_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hang_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_die_held, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
