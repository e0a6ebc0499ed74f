// SPDX-License-Identifier: GPL-2.0
/*
 * The freeze and its undoing: whatever step fails, the program runs on as it was. CRIU is a stand-in
 * (tests/criu_dump_fake.h).
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "source/freeze.h"
#include "source/unsettled.h"
#include "tests/counting.h"
#include "tests/criu_dump_fake.h"
#include "tests/criu_images.h"
#include "tests/fake_backend.h"

#define LATER_MS	30000

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

static void have_child(int sig)
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

/* Until the test has seen it, however late that is, and then for @time. */
static void last(const struct timespec *time)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	while (!*kit->program.go)
		syscall(SYS_nanosleep, &moment, NULL);
	syscall(SYS_nanosleep, time, NULL);
}

static int borrow(void *time)
{
	last(time);
	return 0;
}

/* As vfork() does, which the thread sanitizer makes a fork(). */
static void lend(struct timespec time)
{
	static char stack[16384] __attribute__((aligned(16)));

	clone(borrow, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &time);
}

/* A child with an address space of its own, for which its parent waits all the same. */
static void keep_waiting(int sig)
{
	const struct timespec moment = { .tv_nsec = 100000000 };

	if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))
		return;
	last(&moment);
	_exit(0);
}

static void lend_for_a_moment(int sig)
{
	lend((struct timespec){ .tv_nsec = 100000000 });
}

static void lend_for_long(int sig)
{
	lend((struct timespec){ .tv_sec = 60 });
}

/* Asks for the network interfaces, and reads the answer when it is no longer of interest to a test. */
static void ask_kernel(struct timespec time)
{
	struct { struct nlmsghdr head; struct ifinfomsg info; } ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[65536];

	if (send(fd, &ask, sizeof(ask), 0) < 0)
		_exit(1);
	last(&time);
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	close(fd);
}

static void ask_for_a_moment(int sig)
{
	ask_kernel((struct timespec){ .tv_nsec = 100000000 });
}

/* Longer than the freeze waits; under the thread sanitizer no other signal would end it. */
static void ask_for_long(int sig)
{
	ask_kernel((struct timespec){ .tv_sec = 5 });
}

static void begin(void)
{
	signal(SIGURG, ask_for_a_moment);
	signal(SIGIO, ask_for_long);
	signal(SIGUSR1, have_child);
	signal(SIGVTALRM, keep_waiting);
	signal(SIGUSR2, lend_for_a_moment);
	signal(SIGWINCH, lend_for_long);
	setsid();
	close_range(0, ~0U, 0);
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

static void nothing_to_undo(void **state)
{
	expect_undone(true);
	assert_int_equal(kit->freeze.at_ns, 0);
}

/* @stands_first: the guard comes before CRIU */
static void held_and_undone(bool stands_first)
{
	assert_int_equal(freeze(stands_first, STEP_NONE, ACT_HOLD), 0);
	assert_int_equal(kit->gave_up, stands_first);
	assert_true(has_image("asked"));
	assert_true(has_record());
	assert_true(counting_stands(&kit->program));
	assert_false(has_image("let-go"));
	expect_undone(true);
	assert_true(has_image("let-go"));
}

static void a_freeze_is_undone(void **state)
{
	held_and_undone(false);
}

static void a_freeze_before_criu_is_undone(void **state)
{
	held_and_undone(true);
}

static void fails(bool stands_first, enum step step, enum act act, enum exit_code code)
{
	assert_int_equal(freeze(stands_first, step, act), -1);
	assert_int_equal(kit->err.code, code);
	expect_undone(act != ACT_KEEPER);
}

static void settle_fails(void **state)
{
	fails(true, STEP_SETTLE, ACT_HOLD, CODE_TARGET);
	assert_false(has_image("asked"));
}

static void criu_does_not_start(void **state)
{
	unlinkat(kit->bin.fd, "criu", 0);
	file_write(kit->bin.fd, "criu", "", 0);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), -1);
	expect_undone(true);
}

static void the_last_scan_fails(void **state)
{
	fails(true, STEP_SCAN, ACT_HOLD, CODE_TARGET);
	assert_false(kit->gave_up);
	assert_false(has_image("asked"));
}

static void giving_up_fails(void **state)
{
	fails(true, STEP_GIVE_UP, ACT_HOLD, CODE_TARGET);
	assert_false(has_image("asked"));
}

static void the_dump_fails(void **state)
{
	fails(false, STEP_NONE, ACT_FAIL, CODE_CRIU);
}

static void the_dump_fails_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_FAIL, CODE_CRIU);
}

static void criu_dies(void **state)
{
	fails(false, STEP_NONE, ACT_DIE, CODE_CRIU);
}

static void criu_dies_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_DIE, CODE_CRIU);
}

/* A destination that has failed ends a dump that runs. */
static void the_migration_has_failed(void **state)
{
	const struct error why = { .code = CODE_PEER, .what = "this is a test" };

	failure_raise(&kit->failure.first, &why);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), -1);
	expect_undone(true);
}

/* A child that began since the last round cannot be moved. */
static void a_child_is_refused(void **state)
{
	fails(false, STEP_NONE, ACT_FORKS, CODE_REFUSED);
	assert_true(has_image("let-go"));
}

static void the_keeper_dies(void **state)
{
	fails(false, STEP_NONE, ACT_KEEPER, CODE_INTERNAL);
	assert_true(has_image("let-go"));
}

static void the_keeper_dies_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_KEEPER, CODE_INTERNAL);
	assert_true(has_image("let-go"));
}

static void criu_dies_while_it_holds(void **state)
{
	fails(false, STEP_NONE, ACT_DIE_HELD, CODE_CRIU);
}

/* The parent of such a child waits in a call of the kernel in which CRIU cannot stop it. */
static pid_t lends(int sig)
{
	pid_t borrower = 0;

	kill(kit->program.pid, sig);
	for (int ms = 0; !borrower && ms < LATER_MS; ms++) {
		borrower = tree_find_borrower(&kit->tree);
		usleep(1000);
	}
	assert_true(borrower);
	*kit->program.go = 1;
	return borrower;
}

static void a_vfork_comes_to_its_end_first(void **state)
{
	lends(SIGUSR2);
	assert_int_equal(freeze(true, STEP_NONE, ACT_HOLD), 0);
	assert_int_equal(tree_find_borrower(&kit->tree), 0);
	assert_true(counting_stands(&kit->program));
	expect_undone(true);
}

/* As if each child had ended. */
static int ignore_join(void *ctx, struct source_process *process, struct error *err)
{
	process->gone = true;
	return 0;
}

static void a_child_with_its_own_memory_is_waited_for(void **state)
{
	kit->freeze.join = ignore_join;
	lends(SIGVTALRM);
	assert_int_equal(freeze(true, STEP_NONE, ACT_HOLD), 0);
	assert_int_equal(tree_find_borrower(&kit->tree), 0);
	assert_true(counting_stands(&kit->program));
	expect_undone(true);
}

static bool is_in_state(pid_t pid, char state)
{
	struct proc_status status = { 0 };

	for (int ms = 0; ms < LATER_MS; ms++) {
		assert_int_equal(proc_status_read(pid, &status, &kit->err), 0);
		if (status.state == state)
			return true;
		usleep(1000);
	}
	return false;
}

/* Its parent stands on the way out of the call in which it waited. */
static void a_child_that_has_exited_is_not_waited_for(void **state)
{
	pid_t child = lends(SIGVTALRM);

	kill(kit->program.pid, SIGSTOP);
	kill(child, SIGKILL);
	assert_true(is_in_state(kit->program.pid, 'T'));
	assert_true(is_in_state(child, 'Z'));
	assert_int_equal(tree_find_borrower(&kit->tree), 0);
	kill(kit->program.pid, SIGCONT);
	assert_true(counting_runs(&kit->program));
}

static void one_that_borrows_on_and_on_is_refused(void **state)
{
	pid_t borrower = lends(SIGWINCH);

	assert_int_equal(freeze(true, STEP_NONE, ACT_HOLD), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_false(has_image("asked"));
	kill(borrower, SIGKILL);
	expect_undone(true);
}

/* Return: the process that asked, and has not read */
static pid_t asks(int sig)
{
	struct unsettled unsettled = { 0 };

	kill(kit->program.pid, sig);
	for (int ms = 0; !unsettled.pid && ms < LATER_MS; ms++) {
		assert_int_equal(unsettled_find(&kit->tree, &unsettled, &kit->err), 0);
		usleep(1000);
	}
	*kit->program.go = 1;
	return unsettled.pid;
}

static void an_answer_of_the_kernel_is_read_first(void **state)
{
	struct unsettled unsettled;

	assert_int_equal(asks(SIGURG), kit->program.pid);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), 0);
	assert_int_equal(unsettled_find(&kit->tree, &unsettled, &kit->err), 0);
	assert_int_equal(unsettled.pid, 0);
	assert_true(counting_stands(&kit->program));
	expect_undone(true);
}

static void one_that_reads_no_answer_is_refused(void **state)
{
	assert_int_equal(asks(SIGIO), kit->program.pid);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "netlink"));
	assert_false(has_image("asked"));
	expect_undone(true);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(nothing_to_undo), KIT_TEST(a_freeze_is_undone),
		KIT_TEST(a_freeze_before_criu_is_undone), KIT_TEST(settle_fails),
		KIT_TEST(criu_does_not_start), KIT_TEST(the_last_scan_fails),
		KIT_TEST(giving_up_fails), KIT_TEST(the_dump_fails),
		KIT_TEST(the_dump_fails_after_the_guard), KIT_TEST(criu_dies),
		KIT_TEST(criu_dies_after_the_guard), KIT_TEST(the_migration_has_failed),
		KIT_TEST(a_child_is_refused), KIT_TEST(the_keeper_dies),
		KIT_TEST(the_keeper_dies_after_the_guard), KIT_TEST(criu_dies_while_it_holds),
		KIT_TEST(a_vfork_comes_to_its_end_first),
		KIT_TEST(a_child_with_its_own_memory_is_waited_for),
		KIT_TEST(a_child_that_has_exited_is_not_waited_for),
		KIT_TEST(one_that_borrows_on_and_on_is_refused),
		KIT_TEST(an_answer_of_the_kernel_is_read_first),
		KIT_TEST(one_that_reads_no_answer_is_refused),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
