// SPDX-License-Identifier: GPL-2.0
/*
 * The watchdog ends a migration whose keeper or init dies, by a signal, or when it is stuck; not one that
 * has committed. Its thread lives as long as its process: each test is a process of its own.
 */
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
#include "dest/watchdog.h"
#include "os/proc.h"

#define LATER_MS	30000
#define UNDO_MS		300
#define LOOKS_MS	1500	/* some looks of the watchdog, and more than UNDO_MS */
#define WENT_ON		42

/** struct kit - of the process of a test. @says: what it tells people */
struct kit {
	struct peer peer;
	struct program program;
	struct place place;
	struct watchdog watchdog;
	struct keeper *keeper;
	struct owned_dir dir;
	struct cgroup group;
	int says;
	struct error err;
};

static struct kit kit;

static void nothing(void *ctx)
{
}

static void *die(const char *what)
{
	dprintf(kit.says, "%s: %s\n", what, kit.err.what);
	_exit(1);
}

#define CHECK(what) ((what) ? NULL : die(#what))

static pid_t start_init(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void start(void)
{
	const struct peer_hooks hooks = { .cancel = nothing, .failed = nothing };
	char name[64];

	peer_init(&kit.peer, &hooks);
	CHECK(!watchdog_init(&kit.watchdog, &kit.err));
	snprintf(name, sizeof(name), "test-watchdog-%d", getpid());
	CHECK(!owned_dir_make(&kit.dir, "/tmp", name, &kit.err));
	cgroup_plan(&kit.group, 0, CGROUP_BELOW, name);
	kit.keeper = keeper_start(&kit.dir, &kit.group, &(struct ledger){ 0 }, &kit.err);
	CHECK(kit.keeper);
	program_init(&kit.program, name);
	kit.program.init_pid = start_init();
	kit.program.init_fd = proc_pidfd(kit.program.init_pid, &kit.err);
	kit.watchdog.peer = &kit.peer;
	kit.watchdog.keeper = kit.keeper;
	kit.watchdog.program = &kit.program;
	kit.watchdog.place = &kit.place;
	CHECK(!watchdog_start(&kit.watchdog, &kit.err));
}

/* The first failure, which comes from the watchdog. */
static void expect_failure(enum exit_code code, const char *word)
{
	mailbox_wait_failure(&kit.peer.box, LATER_MS);
	CHECK(mailbox_failed(&kit.peer.box, &kit.err));
	CHECK(kit.err.code == code);
	CHECK(strstr(kit.err.what, word));
}

static void commit(void)
{
	CHECK(!peer_commit(&kit.peer, &kit.err));
}

static void go_on(void)
{
	usleep(LOOKS_MS * 1000);
	CHECK(!mailbox_failed(&kit.peer.box, &kit.err));
	_exit(WENT_ON);
}

/* Return: the exit status of a process in which @run runs; @said: what it told people */
static int status_of(void (*run)(void), char *said, size_t room)
{
	int says[2], status = 0;
	size_t bytes = 0;
	char dir[64];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(says), 0);
	pid = fork();
	if (!pid) {
		kit.says = says[1];
		dup2(says[1], 1);
		dup2(says[1], 2);
		start();
		run();
		_exit(0);
	}
	close(says[1]);
	while (bytes < room - 1 && (n = read(says[0], said + bytes, room - 1 - bytes)) > 0)
		bytes += n;
	said[bytes] = 0;
	close(says[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* when its keeper was killed */
	snprintf(dir, sizeof(dir), "/tmp/test-watchdog-%d", pid);
	rmdir(dir);
	if (WIFSIGNALED(status))
		fail_msg("killed by signal %d: %s", WTERMSIG(status), said);
	return WEXITSTATUS(status);
}

static void expect(void (*run)(void), int status, const char *word)
{
	char said[4096];
	int ret = status_of(run, said, sizeof(said));

	if (ret != status || !strstr(said, word))
		fail_msg("ended with %d, not %d: %s", ret, status, said);
}

static void init_dies(void)
{
	kill(kit.program.init_pid, SIGKILL);
	expect_failure(CODE_TARGET, "namespace were killed");
}

static void keeper_dies(void)
{
	kill(keeper_pid(kit.keeper), SIGKILL);
	expect_failure(CODE_INTERNAL, "keeper was killed");
}

static void signal_comes(void)
{
	kill(getpid(), SIGTERM);
	expect_failure(CODE_ABORTED, "signal");
}

static void is_evicted(void)
{
	atomic_store(&kit.place.evicted, true);
	kill(getpid(), SIGTERM);
	expect_failure(CODE_ABORTED, "another migration");
}

/* A hang-up of the terminal, and a reader that goes, are for the keeper and the tasks nothing. */
static void hang_up(void)
{
	raise(SIGHUP);
	raise(SIGPIPE);
	go_on();
}

static void all_die_after_commit(void)
{
	commit();
	kill(getpid(), SIGTERM);
	kill(kit.program.init_pid, SIGKILL);
	kill(keeper_pid(kit.keeper), SIGKILL);
	go_on();
}

/* As a main thread that waits in the kernel for a page that will not come. */
static void is_stuck(void)
{
	const struct error why = { .code = CODE_CRIU, .what = "this is a test" };

	kit.watchdog.undo_ms = UNDO_MS;
	peer_fail(&kit.peer, &why);
	for (;;)
		pause();
}

static void committed_and_lost(void)
{
	const struct error lost = { .code = CODE_NETWORK, .what = "link lost" };

	kit.watchdog.undo_ms = UNDO_MS;
	commit();
	peer_fail(&kit.peer, &lost);
	usleep(LOOKS_MS * 1000);
	_exit(WENT_ON);
}

static void nothing_failed(void)
{
	kit.watchdog.undo_ms = 0;
	go_on();
}

static void what_it_rests_on_dies(void **state)
{
	expect(init_dies, 0, "");
	expect(keeper_dies, 0, "");
}

static void a_signal_ends_it(void **state)
{
	expect(signal_comes, 0, "");
	expect(is_evicted, 0, "");
	expect(hang_up, WENT_ON, "");
}

static void after_commit_nothing_ends_it(void **state)
{
	expect(all_die_after_commit, WENT_ON, "needs this process");
	expect(committed_and_lost, WENT_ON, "");
}

static void one_that_is_stuck_is_ended(void **state)
{
	expect(is_stuck, CODE_CRIU, "could not be ended in order");
	expect(nothing_failed, WENT_ON, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_rests_on_dies), cmocka_unit_test(a_signal_ends_it),
		cmocka_unit_test(after_commit_nothing_ends_it),
		cmocka_unit_test(one_that_is_stuck_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
