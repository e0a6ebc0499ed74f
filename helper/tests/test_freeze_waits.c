// SPDX-License-Identifier: GPL-2.0
/* What the freeze waits for: a parent in vfork(), and a netlink socket with an answer that nobody has read. */
#define _GNU_SOURCE
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "source/unsettled.h"
#include "tests/freeze_kit.h"

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
	/* a busy machine may begin the freeze late, which waits for a second at most */
	lend((struct timespec){ .tv_nsec = 700000000 });
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
	signal(SIGVTALRM, keep_waiting);
	signal(SIGUSR2, lend_for_a_moment);
	signal(SIGWINCH, lend_for_long);
	setsid();
	close_range(0, ~0U, 0);
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
	assert_true(kit->figures.frozen.settling_ns > 1000000);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
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
