// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "criu/rpc.h"
#include "tests/criu_fake.h"
#include "tests/criu_images.h"

/*
 * A stand-in for CRIU: this program itself, found as `criu` in PATH. Its environment is
 * empty, so the pid that it is to dump says how it behaves.
 */
enum act { ACT_HOLD = 1, ACT_FAIL, ACT_DIE, ACT_GARBAGE, ACT_DIE_HELD, ACT_ENDS, ACT_MUTE,
	   ACT_LOG, ACT_LOG_KILLED, ACT_LOG_LONG, ACT_HASTY, ACT_IDLE,
	   ACT_SLOW };

#define LOG_FILLER	"(00.0) the parasite says something\n"
#define LOG_FILLERS	6000	/* more than a pipe holds */
#define LOG_TOO_MANY	300000	/* some 10 MiB */
#define LOG_BYTES_MAX	(9 << 20)

static void fake_mark(int images_fd, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d/%s", getppid(), images_fd, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd >= 0)
		close(fd);
}

static void fake_result(int fd, bool success, const char *text, int number)
{
	CriuResp resp = CRIU_RESP__INIT;

	resp.type = CRIU_REQ_TYPE__DUMP;
	resp.success = success;
	resp.cr_errmsg = (char *)text;
	resp.has_cr_errno = number;
	resp.cr_errno = number;
	criu_fake_send(fd, &resp);
}

/* Return: true when the script was acknowledged */
static bool fake_notify(int fd, int images_fd, const char *script)
{
	CriuResp resp = CRIU_RESP__INIT;
	CriuNotify notify = CRIU_NOTIFY__INIT;
	CriuReq *req;

	notify.script = (char *)script;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &notify;
	criu_fake_send(fd, &resp);
	req = criu_fake_recv(fd);
	if (!req)
		fake_mark(images_fd, "hung-up");
	return req && req->type == CRIU_REQ_TYPE__NOTIFY && req->notify_success;
}

static const char fake_log_text[] =
	"(00.1) Warn  (criu/a.c:1): strange\n"
	"(00.1) Error (criu/rlimit.c:1): rlimit: Can't setup RLIMIT_NOFILE for self: no\n"
	"(00.2) Error (criu/y.c:2): No parent image found, whatever\n"
	"(00.3) Error (criu/z.c:3): the root of it\n"
	"(00.4) Error (criu/z.c:4): Dumping FAILED.\n";

/* Under a limit that a file would not pass, as when CRIU logs as the program. */
static void fake_log(const CriuOpts *opts)
{
	struct rlimit limit = { .rlim_cur = 16, .rlim_max = 16 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d/%s", getppid(), opts->work_dir_fd,
		 opts->log_file);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < (opts->pid == ACT_LOG_LONG ? LOG_TOO_MANY : LOG_FILLERS); i++)
		dprintf(fd, LOG_FILLER);
	dprintf(fd, "%s", fake_log_text);
	close(fd);
}

/* Somebody kills the process that copies the log. */
static void kill_copying(void)
{
	char path[64], name[32];
	FILE *children, *comm;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getppid(), getppid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = fopen(path, "re");
		if (comm && fgets(name, sizeof(name), comm) && !strcmp(name, "migrate-log\n"))
			kill(pid, SIGKILL);
		if (comm)
			fclose(comm);
	}
	if (children)
		fclose(children);
}

static void fake_dump(int fd, const CriuOpts *opts)
{
	int images_fd = opts->images_dir_fd;

	while (opts->pid == ACT_IDLE)
		pause();
	if (opts->pid != ACT_HASTY && !fake_notify(fd, images_fd, "pre-dump"))
		return;
	if (opts->pid == ACT_FAIL)
		fake_result(fd, false, "Error (criu/x.c:1): the task has a strange thing\n", 0);
	if (opts->pid == ACT_GARBAGE && send(fd, "\xff\xff\xff", 3, 0) == 3)
		criu_fake_recv(fd);
	if (opts->pid == ACT_LOG_KILLED)
		kill_copying();
	if (opts->pid == ACT_ENDS)
		fake_result(fd, false, NULL, ESRCH);
	if (opts->pid == ACT_LOG || opts->pid == ACT_LOG_KILLED || opts->pid == ACT_LOG_LONG)
		fake_log(opts);
	if (opts->pid == ACT_MUTE || opts->pid == ACT_LOG || opts->pid == ACT_LOG_KILLED ||
	    opts->pid == ACT_LOG_LONG)
		fake_result(fd, false, "Error (criu/y.c:2): No parent image found, whatever\n", 0);
	if (opts->pid == ACT_DIE_HELD) {
		CriuResp resp = CRIU_RESP__INIT;
		CriuNotify notify = CRIU_NOTIFY__INIT;

		notify.script = "status-ready";
		resp.type = CRIU_REQ_TYPE__NOTIFY;
		resp.success = true;
		resp.notify = &notify;
		criu_fake_send(fd, &resp);
		raise(SIGKILL);
	}
	if (opts->pid != ACT_HOLD && opts->pid != ACT_HASTY && opts->pid != ACT_SLOW)
		return;
	if (opts->pid == ACT_SLOW)
		usleep(1500000);
	if (!fake_notify(fd, images_fd, "status-ready"))
		fake_mark(images_fd, "let-go");
	if (fake_notify(fd, images_fd, "network-unlock"))
		fake_mark(images_fd, "unlocked");
	fake_result(fd, false, NULL, 0);
}

static int fake_criu(int fd)
{
	CriuResp resp = CRIU_RESP__INIT;
	CriuVersion version = CRIU_VERSION__INIT;
	CriuReq *req = criu_fake_recv(fd);
	DIR *fds = opendir("/proc/self/fd");
	int nr = 0;

	while (readdir(fds))
		nr++;
	closedir(fds);
	if (req && req->type == CRIU_REQ_TYPE__DUMP) {
		/* ., .., three standard ones, two sockets, and the open directory */
		if (nr == 8)
			fake_mark(req->opts->images_dir_fd, "fds-are-right");
		if (req->opts->pid != ACT_DIE)
			fake_dump(fd, req->opts);
	} else if (req && req->type == CRIU_REQ_TYPE__VERSION) {
		resp.type = CRIU_REQ_TYPE__VERSION;
		resp.success = true;
		resp.version = &version;
		version.major_number = 3;
		version.minor_number = 17;
		version.has_sublevel = true;
		version.sublevel = 1;
		criu_fake_send(fd, &resp);
		return req->keep_open ? fake_criu(fd) : 0;
	}
	return 0;
}

struct fixture {
	struct test_dir bin, images, work;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	criu_fake_install(&f->bin);
	dir_make(&f->images);
	dir_make(&f->work);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dir_remove(&f->bin);
	dir_remove(&f->images);
	dir_remove(&f->work);
	free(f);
	return 0;
}

static bool has_mark(struct fixture *f, const char *name)
{
	return !faccessat(f->images.fd, name, F_OK, 0);
}

static int start(struct fixture *f, enum act act, struct criu_dump **dump)
{
	struct criu_dump_opts opts = {
		.pid = act, .images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd,
		.parent = "../p1", .log_level = 2,
	};

	if (criu_dump_prepare(&opts, dump, &f->err))
		return -1;
	return criu_dump_start(&opts, dump, &f->err);
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

/* Whoever holds a dump and dies: CRIU finds out. */
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

static void check_failure(struct fixture *f, enum act act, const char *text)
{
	struct criu_dump *dump;

	assert_int_equal(start(f, act, &dump), -1);
	assert_null(dump);
	assert_int_equal(f->err.code, CODE_CRIU);
	if (!strstr(f->err.what, text))
		fail_msg("'%s' is not in '%s'", text, f->err.what);
}

static void check_hint(struct fixture *f)
{
	char log[64];

	snprintf(log, sizeof(log), "%s/dump.log", f->work.path);
	assert_non_null(strstr(f->err.hint, log));
	assert_null(strchr(f->err.what, '\n'));
}

static void test_fail(void **state)
{
	check_failure(*state, ACT_FAIL, "cannot dump task 2: the task has a strange thing");
	check_hint(*state);
}

static void test_ends(void **state)
{
	check_failure(*state, ACT_ENDS, strerror(ESRCH));
	check_hint(*state);
}

static void test_mute(void **state)
{
	check_failure(*state, ACT_MUTE, "gives no reason");
}

/* The first error that CRIU passes on is none when there is a parent; the log knows better. */
static void check_log(struct fixture *f, enum act act)
{
	char path[64];
	struct stat st;

	check_failure(f, act, "the root of it");
	check_hint(f);
	snprintf(path, sizeof(path), "%s/dump.log", f->work.path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, LOG_FILLERS * strlen(LOG_FILLER) + strlen(fake_log_text));
}

static void test_log(void **state)
{
	check_log(*state, ACT_LOG);
}

/* CRIU waits for a reader, in the program too, until there is another one. */
static void test_log_killed(void **state)
{
	check_log(*state, ACT_LOG_KILLED);
}

/* Images of another machine can make CRIU say as much as they like: the end is what matters. */
static void test_log_long(void **state)
{
	struct fixture *f = *state;
	char path[64];
	struct stat st;

	check_failure(f, ACT_LOG_LONG, "the root of it");
	snprintf(path, sizeof(path), "%s/dump.log", f->work.path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < LOG_BYTES_MAX);
}

static void test_die(void **state)
{
	check_failure(*state, ACT_DIE, "CRIU died");
	check_hint(*state);
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
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_installed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_and_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_and_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_and_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hang_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undone_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_begun_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_undo_when_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_die, setup, teardown),
		cmocka_unit_test_setup_teardown(test_die_held, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
