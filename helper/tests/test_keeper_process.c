// SPDX-License-Identifier: GPL-2.0
/*
 * A process that outlives its helper: what both keepers have. A child of the test is the helper where
 * the helper has to end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "os/proc.h"
#include "session/keeper.h"

#define SOON_MS		300
#define LATER_MS	30000

enum { OP_TWICE, OP_FAIL, OP_SWAP, OP_SLOW, OP_LIMIT, OP_FORK, OP_QUIET, OP_END };

/**
 * struct kit - @says: the keeper writes a letter for each that it sees: (b)egin, (a)nswered, (l)ate,
 * helper (g)one, (c)hild ended, a request without an answer (q)
 * @stays: for children, when the helper has ended
 */
struct kit {
	struct keeper_loop loop;
	struct keeper_process process;
	int says[2];
	bool stays;
	struct error err;
};

static void say(const struct kit *kit, char letter)
{
	if (write(kit->loop.keep[0], &letter, 1) != 1)
		_exit(1);
}

static void on_begin(void *ctx)
{
	say(ctx, 'b');
}

static bool on_request(void *ctx, struct keeper_turn *turn)
{
	struct kit *kit = ctx;

	switch (turn->request.op) {
	case OP_TWICE:
		turn->answer.value = 2 * turn->request.value;
		break;
	case OP_FAIL:
		error_set(&turn->answer.err, CODE_TARGET, NULL, "it did not work");
		break;
	case OP_SWAP:
		turn->answer_fd = turn->fds[0];
		turn->fds[0] = -1;
		break;
	case OP_SLOW:
		usleep(2 * SOON_MS * 1000);
		break;
	case OP_LIMIT:
		kit->loop.until_ns = clock_now_ns() + turn->request.value * 1000000UL;
		break;
	case OP_QUIET:
		say(kit, 'q');
		turn->quiet = true;
		break;
	case OP_FORK:
		if (!fork()) {
			usleep(SOON_MS * 1000);
			_exit(0);
		}
		break;
	}
	return turn->request.op != OP_END;
}

static void on_answered(void *ctx, const struct keeper_turn *turn)
{
	say(ctx, 'a');
}

static void on_late(void *ctx)
{
	say(ctx, 'l');
}

static bool on_alone(void *ctx)
{
	struct kit *kit = ctx;

	say(kit, 'g');
	return kit->stays;
}

static bool on_child_ended(void *ctx)
{
	struct kit *kit = ctx;

	say(kit, 'c');
	return kit->loop.sock >= 0;
}

static const struct keeper_ops plain_ops = {
	.begin = on_begin, .request = on_request, .answered = on_answered, .late = on_late,
	.alone = on_alone,
};

static const struct keeper_ops parent_ops = {
	.request = on_request, .alone = on_alone, .child_ended = on_child_ended,
};

static struct kit *kit_new(const struct keeper_ops *ops)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	assert_int_equal(pipe2(kit->says, O_CLOEXEC), 0);
	kit->loop = (struct keeper_loop){ .ops = ops, .ctx = kit, .keep = { kit->says[1], -1 } };
	return kit;
}

static struct kit *start(const struct keeper_ops *ops)
{
	struct kit *kit = kit_new(ops);

	assert_int_equal(keeper_process_start(&kit->process, &kit->loop, &kit->err), 0);
	close(kit->says[1]);
	return kit;
}

/* The keeper has ended: whatever it had to say is in the pipe, and nobody else holds that open. */
static void expect_said(struct kit *kit, const char *letters)
{
	char said[32] = "";
	size_t bytes = 0;
	ssize_t n;

	keeper_process_wait(&kit->process, LATER_MS);
	while ((n = read(kit->says[0], said + bytes, sizeof(said) - 1 - bytes)) > 0)
		bytes += n;
	assert_string_equal(said, letters);
	close(kit->says[0]);
}

static enum keeper_answer ask(struct kit *kit, unsigned int op, int value, int *answer)
{
	struct keeper_msg msg = { .op = op, .value = value };
	enum keeper_answer ret = keeper_process_ask(&kit->process, &msg, NULL, 0, NULL, LATER_MS,
						    &kit->err);

	if (answer)
		*answer = msg.value;
	return ret;
}

/* It is told to end, and says so; @letters: all that it did */
static void end(struct kit *kit, const char *letters)
{
	assert_int_equal(ask(kit, OP_END, 0, NULL), KEEPER_OK);
	expect_said(kit, letters);
	keeper_process_close(&kit->process);
	free(kit);
}

static void it_answers(void **state)
{
	struct kit *kit = start(&plain_ops);
	int value = 0;

	assert_int_equal(ask(kit, OP_TWICE, 21, &value), KEEPER_OK);
	assert_int_equal(value, 42);
	assert_int_equal(ask(kit, OP_FAIL, 0, NULL), KEEPER_FAILED);
	assert_string_equal(kit->err.what, "it did not work");
	end(kit, "baaa");
}

static void tell(struct kit *kit)
{
	struct keeper_msg msg = { .op = OP_QUIET };

	assert_int_equal(keeper_process_tell(&kit->process, &msg, NULL, 0, &kit->err), 0);
}

/* What was told is done in its turn, and also when the helper ends without a further word. */
static void it_is_told(void **state)
{
	struct kit *kit = start(&plain_ops);
	int value = 0;

	tell(kit);
	tell(kit);
	assert_int_equal(ask(kit, OP_TWICE, 21, &value), KEEPER_OK);
	assert_int_equal(value, 42);
	tell(kit);
	keeper_process_close(&kit->process);
	expect_said(kit, "bqqaqg");
	free(kit);
}

/* A caller whose score has the OOM killer end it first hands that to all that it starts. */
static void it_is_killed_last(void **state)
{
	struct error err = { 0 };
	struct kit *kit;
	int own, score;

	assert_int_equal(proc_oom_score_adj(getpid(), &own, &err), 0);
	assert_int_equal(proc_set_oom_score_adj(getpid(), 700, &err), 0);
	kit = start(&plain_ops);
	assert_int_equal(proc_set_oom_score_adj(getpid(), own, &err), 0);
	assert_int_equal(ask(kit, OP_TWICE, 21, NULL), KEEPER_OK);
	assert_int_equal(proc_oom_score_adj(kit->process.pid, &score, &err), 0);
	/* without the right to the lowest one */
	assert_true(score == -1000 || (score == own && own <= 0));
	keeper_process_close(&kit->process);
	expect_said(kit, "bag");
	free(kit);
}

/* The other end of the pipe is nobody's any more. */
static bool is_closed(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&pfd, 1, LATER_MS) == 1 && read(fd, &byte, 1) == 0;
}

/* A descriptor goes there and comes back; no copy of it stays with the keeper. */
static void descriptors_pass(void **state)
{
	struct kit *kit = start(&plain_ops);
	struct keeper_msg msg = { .op = OP_SWAP };
	int back = -1, pair[2];
	char byte = 'x';

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(keeper_process_ask(&kit->process, &msg, &pair[1], 1, &back, LATER_MS,
					    &kit->err), KEEPER_OK);
	close(pair[1]);
	assert_int_equal(write(back, &byte, 1), 1);
	close(back);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_true(is_closed(pair[0]));
	close(pair[0]);
	end(kit, "baa");
}

/* The keeper does not take it. */
static void a_descriptor_too_many_is_closed(void **state)
{
	struct kit *kit = start(&plain_ops);
	struct keeper_msg msg = { .op = OP_TWICE };
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(keeper_process_ask(&kit->process, &msg, &pair[1], 1, NULL, LATER_MS,
					    &kit->err), KEEPER_OK);
	close(pair[1]);
	assert_true(is_closed(pair[0]));
	close(pair[0]);
	end(kit, "baa");
}

/* What others wait to see closed must not stay open in a process that outlives the helper. */
static void inherited_descriptors_are_closed(void **state)
{
	struct kit *kit = kit_new(&plain_ops);
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(keeper_process_start(&kit->process, &kit->loop, &kit->err), 0);
	close(kit->says[1]);
	close(pair[1]);
	assert_int_equal(ask(kit, OP_TWICE, 0, NULL), KEEPER_OK);
	assert_true(is_closed(pair[0]));
	close(pair[0]);
	keeper_process_close(&kit->process);
	expect_said(kit, "bag");
	free(kit);
}

/* The answer that comes late must not be taken for that of the next request. */
static void a_late_answer_is_dropped(void **state)
{
	struct kit *kit = start(&plain_ops);
	struct keeper_msg msg = { .op = OP_SLOW };
	int value = 0;

	assert_int_equal(keeper_process_ask(&kit->process, &msg, NULL, 0, NULL, SOON_MS / 10,
					    &kit->err), KEEPER_SILENT);
	assert_int_equal(kit->err.code, CODE_INTERNAL);
	assert_int_equal(ask(kit, OP_TWICE, 4, &value), KEEPER_OK);
	assert_int_equal(value, 8);
	ask(kit, OP_END, 0, NULL);
	expect_said(kit, "baaa");
	keeper_process_close(&kit->process);
	free(kit);
}

static void a_dead_one_is_silent(void **state)
{
	struct kit *kit = start(&plain_ops);
	int value;

	assert_int_equal(ask(kit, OP_TWICE, 1, &value), KEEPER_OK);
	keeper_process_kill(&kit->process);
	keeper_process_wait(&kit->process, -1);
	assert_int_equal(ask(kit, OP_TWICE, 1, &value), KEEPER_SILENT);
	/* it was reaped: neither of these may wait, nor reach another process */
	keeper_process_kill(&kit->process);
	keeper_process_wait(&kit->process, -1);
	assert_int_equal(waitpid(kit->process.pid, NULL, 0), -1);
	close(kit->says[0]);
	keeper_process_close(&kit->process);
	free(kit);
}

/* Signals that end the helper, and its terminal's, do not reach the keeper's work. */
static void signals_do_not_end_it(void **state)
{
	struct kit *kit = start(&plain_ops);
	int value = 0;

	assert_int_equal(ask(kit, OP_TWICE, 1, NULL), KEEPER_OK);
	kill(kit->process.pid, SIGTERM);
	kill(kit->process.pid, SIGINT);
	kill(kit->process.pid, SIGHUP);
	assert_int_equal(getsid(kit->process.pid), kit->process.pid);
	assert_int_equal(ask(kit, OP_TWICE, 3, &value), KEEPER_OK);
	assert_int_equal(value, 6);
	keeper_process_close(&kit->process);
	expect_said(kit, "baag");
	free(kit);
}

/* A child of the test that starts a keeper, and does nothing more. */
static pid_t start_helper(struct kit *kit, int limit_ms)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (keeper_process_start(&kit->process, &kit->loop, &kit->err) ||
	    ask(kit, OP_LIMIT, limit_ms, NULL) != KEEPER_OK)
		_exit(1);
	for (;;)
		pause();
}

static void read_said(const struct kit *kit, const char *letters)
{
	char letter;

	for (; *letters; letters++) {
		struct pollfd said = { .fd = kit->says[0], .events = POLLIN };

		assert_int_equal(poll(&said, 1, LATER_MS), 1);
		assert_int_equal(read(kit->says[0], &letter, 1), 1);
		assert_int_equal(letter, *letters);
	}
	/* it has ended: no more can come */
	assert_int_equal(read(kit->says[0], &letter, 1), 0);
	close(kit->says[0]);
}

static void it_sees_the_helper_killed(void **state)
{
	struct kit *kit = kit_new(&plain_ops);
	pid_t helper = start_helper(kit, 100 * LATER_MS);
	char letters[2];

	close(kit->says[1]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(read(kit->says[0], letters + i, 1), 1);
	assert_memory_equal(letters, "ba", 2);
	kill(helper, SIGKILL);
	read_said(kit, "g");
	waitpid(helper, NULL, 0);
	free(kit);
}

static void it_kills_a_helper_that_is_late(void **state)
{
	struct kit *kit = kit_new(&plain_ops);
	pid_t helper = start_helper(kit, SOON_MS);
	int status = 0;

	close(kit->says[1]);
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	read_said(kit, "balg");
	free(kit);
}

/* One that has children may go on without its helper until these have ended. */
static void it_waits_for_children(void **state)
{
	struct kit *kit = kit_new(&parent_ops);

	kit->stays = true;
	assert_int_equal(keeper_process_start(&kit->process, &kit->loop, &kit->err), 0);
	close(kit->says[1]);
	assert_int_equal(ask(kit, OP_FORK, 0, NULL), KEEPER_OK);
	keeper_process_close(&kit->process);
	read_said(kit, "gc");
	free(kit);
}

static void a_child_that_ends_first_ends_nothing(void **state)
{
	struct kit *kit = start(&parent_ops);
	char letter = 0;
	int value = 0;

	assert_int_equal(ask(kit, OP_FORK, 0, NULL), KEEPER_OK);
	assert_int_equal(read(kit->says[0], &letter, 1), 1);
	assert_int_equal(letter, 'c');
	assert_int_equal(ask(kit, OP_TWICE, 5, &value), KEEPER_OK);
	assert_int_equal(value, 10);
	ask(kit, OP_END, 0, NULL);
	expect_said(kit, "");
	keeper_process_close(&kit->process);
	free(kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_answers), cmocka_unit_test(it_is_told),
		cmocka_unit_test(it_is_killed_last),
		cmocka_unit_test(descriptors_pass),
		cmocka_unit_test(a_descriptor_too_many_is_closed),
		cmocka_unit_test(inherited_descriptors_are_closed),
		cmocka_unit_test(a_late_answer_is_dropped), cmocka_unit_test(a_dead_one_is_silent),
		cmocka_unit_test(signals_do_not_end_it),
		cmocka_unit_test(it_sees_the_helper_killed),
		cmocka_unit_test(it_kills_a_helper_that_is_late),
		cmocka_unit_test(it_waits_for_children),
		cmocka_unit_test(a_child_that_ends_first_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
