// SPDX-License-Identifier: GPL-2.0
/* Two processes stand in for CRIU and for a task that CRIU restores. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/attach.h"

/**
 * struct fixture - a stand-in and its task
 * @sock: the stand-in waits for a byte of it, as CRIU does for an answer
 * @task_ended: hangs up when the task is dead
 */
struct fixture {
	pid_t criu;
	int sock, task_ended;
	struct error err;
};

/** struct seen - what the stand-in leaves; @cpus: on so many it may run while it seizes; @stops: of it then */
static struct seen {
	int cpus;
	long stops;
} *seen;

#define MANY	8	/* tasks */

enum course { AS_3_17, AS_4_1, NEVER_WAKES, DIES, MANY_TASKS, MANY_THEN_ASKS };

static void seize(pid_t task, enum course course)
{
	int status, word = 0;
	cpu_set_t cpus;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	seen->cpus = CPU_COUNT(&cpus);
	if (ptrace(PTRACE_SEIZE, task, 0, 0) || ptrace(PTRACE_INTERRUPT, task, 0, 0) ||
	    waitpid(task, &status, __WALL) != task)
		_exit(3);
	if (course == DIES)
		raise(SIGKILL);
	if (course == AS_4_1 && ptrace(PTRACE_SETOPTIONS, task, 0, PTRACE_O_TRACESYSGOOD))
		_exit(4);
	ptrace(PTRACE_CONT, task, 0, 0);
	while (course == NEVER_WAKES)
		getppid();
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Each stop of a traced process is a switch to the tracer that the process has wanted itself. */
static long count_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static void seize_one(pid_t task)
{
	int status;

	if (ptrace(PTRACE_SEIZE, task, 0, 0) || ptrace(PTRACE_INTERRUPT, task, 0, 0) ||
	    waitpid(task, &status, __WALL) != task ||
	    ptrace(PTRACE_SETOPTIONS, task, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_CONT, task, 0, 0))
		_exit(3);
}

/* All of them have the end of the pipe that their parent closes. @asks: CRIU waits for an answer behind them */
static void seize_many(pid_t first, int sock, bool asks)
{
	pid_t tasks[MANY] = { first };
	int word = 0;
	long before;
	char byte;

	for (int i = 1; i < MANY; i++) {
		tasks[i] = fork();
		while (!tasks[i])
			pause();
	}
	before = count_switches();
	for (int i = 0; i < MANY; i++)
		seize_one(tasks[i]);
	seen->stops = count_switches() - before;
	if (asks && recv(sock, &byte, 1, 0) != 1)
		_exit(6);
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static const sigset_t *masked;	/* that gives_up() blocks, and gives up later; or NULL */

static void criu_main(int sock, int ended, enum course course)
{
	char byte;
	pid_t task;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* ends a wait of a test that nothing else would end */
	alarm(20);
	task = fork();
	if (!task) {
		close(sock);
		/* of a test that failed nothing stays */
		alarm(masked ? 2 : 60);
		for (;;)
			pause();
	}
	if (read(sock, &byte, 1) != 1)
		_exit(2);
	if (course == MANY_TASKS || course == MANY_THEN_ASKS)
		seize_many(task, sock, course == MANY_THEN_ASKS);
	else
		seize(task, course);
	close(ended);
	if (write(sock, "", 1) != 1)
		_exit(5);
	for (;;)
		pause();
}

static void start(struct fixture *f, enum course course)
{
	int pair[2], ended[2];

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(ended), 0);
	f->criu = fork();
	if (!f->criu) {
		close(pair[0]);
		close(ended[0]);
		criu_main(pair[1], ended[1], course);
	}
	close(pair[1]);
	close(ended[1]);
	f->sock = pair[0];
	f->task_ended = ended[0];
}

static bool task_ends(const struct fixture *f, int timeout_ms)
{
	struct pollfd ended = { .fd = f->task_ended };

	return poll(&ended, 1, timeout_ms) > 0;
}

static void seizes(enum course course)
{
	struct criu_attach attach;
	struct fixture f = { 0 };
	char byte;

	start(&f, course);
	assert_int_equal(criu_attach_begin(&attach, f.criu, -1, 0, &f.err), 0);
	assert_int_equal(write(f.sock, "", 1), 1);
	assert_int_equal(criu_attach_run(&attach, &f.err), 0);
	/* it goes on, and nobody traces it */
	assert_int_equal(read(f.sock, &byte, 1), 1);
	assert_int_equal(ptrace(PTRACE_CONT, f.criu, 0, 0), -1);
	assert_false(task_ends(&f, 100));
	kill(f.criu, SIGKILL);
	assert_int_equal(waitpid(f.criu, NULL, 0), f.criu);
	assert_true(task_ends(&f, 10000));
	close(f.sock);
	close(f.task_ended);
}

/* @expected: threads. Return: stops of CRIU */
static long seizes_many(enum course course, size_t expected)
{
	struct criu_attach attach;
	struct fixture f = { 0 };
	char byte;
	long stops;

	start(&f, course);
	assert_int_equal(criu_attach_begin(&attach, f.criu, -1, expected, &f.err), 0);
	assert_int_equal(write(f.sock, "", 1), 1);
	assert_int_equal(criu_attach_run(&attach, &f.err), 0);
	assert_false(attach.trap.set);
	if (course == MANY_THEN_ASKS)
		assert_int_equal(write(f.sock, "", 1), 1);
	/* nothing of the breakpoint is left: it goes on by itself, and calls ptrace() no more */
	assert_int_equal(read(f.sock, &byte, 1), 1);
	assert_int_equal(ptrace(PTRACE_CONT, f.criu, 0, 0), -1);
	stops = seen->stops;
	assert_false(task_ends(&f, 100));
	kill(f.criu, SIGKILL);
	assert_int_equal(waitpid(f.criu, NULL, 0), f.criu);
	/* all tasks have the pipe */
	assert_true(task_ends(&f, 10000));
	close(f.sock);
	close(f.task_ended);
	return stops;
}

static void tasks_die_in_fewer_stops(void **state)
{
	long fewer = seizes_many(MANY_TASKS, MANY), all = seizes_many(MANY_TASKS, 0);

	print_message("%ld and %ld stops\n", fewer, all);
	assert_true(4 * fewer < 3 * all);
}

/* CRIU seizes fewer than were told, and waits for the answer of the helper, which would wait for CRIU. */
static void fewer_tasks_than_told(void **state)
{
	seizes_many(MANY_THEN_ASKS, MANY + 3);
}

/* The last ones are seized as ever: where more come than were told all of them have the option too. */
static void more_tasks_than_told(void **state)
{
	seizes_many(MANY_TASKS, MANY - 2);
}

static void task_dies_with_3_17(void **state)
{
	seizes(AS_3_17);
}

static void task_dies_with_4_1(void **state)
{
	seizes(AS_4_1);
}

static void criu_dies_meanwhile(void **state)
{
	struct criu_attach attach;
	struct fixture f = { 0 };

	start(&f, DIES);
	assert_int_equal(criu_attach_begin(&attach, f.criu, -1, 0, &f.err), 0);
	assert_int_equal(write(f.sock, "", 1), 1);
	assert_int_equal(criu_attach_run(&attach, &f.err), 0);
	assert_true(task_ends(&f, 10000));
	close(f.sock);
	close(f.task_ended);
}

/* CRIU is killed and reaped: its parent would not learn of the end of a traced one. */
static void gives_up(bool answered)
{
	struct criu_attach attach;
	struct fixture f = { 0 };
	int cancel[2];

	start(&f, NEVER_WAKES);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, cancel), 0);
	assert_int_equal(criu_attach_begin(&attach, f.criu, cancel[0], 0, &f.err), 0);
	if (answered)
		assert_int_equal(write(f.sock, "", 1), 1);
	if (masked)
		pthread_sigmask(SIG_BLOCK, masked, NULL);
	if (masked && !fork()) {
		usleep(300000);
		shutdown(cancel[1], SHUT_RDWR);
		_exit(0);
	}
	if (!masked)
		shutdown(cancel[1], SHUT_RDWR);
	assert_int_equal(criu_attach_run(&attach, &f.err), -1);
	assert_int_equal(f.err.code, CODE_ABORTED);
	assert_int_equal(kill(f.criu, 0), -1);
	close(f.sock);
	close(f.task_ended);
	close(cancel[0]);
	close(cancel[1]);
}

static void given_up_in_a_wait(void **state)
{
	gives_up(false);
}

/* The process that started the helper may have blocked SIGALRM: a mask is inherited. */
static void given_up_in_spite_of_a_mask(void **state)
{
	sigset_t alarms, before;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	masked = &alarms;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	gives_up(false);
	masked = NULL;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_true(wait(NULL) > 0);
}

static void given_up_at_work(void **state)
{
	gives_up(true);
}

static void same_cpus(pid_t pid, const cpu_set_t *wanted)
{
	cpu_set_t cpus;

	assert_int_equal(sched_getaffinity(pid, sizeof(cpus), &cpus), 0);
	assert_true(CPU_EQUAL(&cpus, wanted));
}

/* A wake-up of another CPU at each system call of CRIU: five times as long with 500 threads. */
static void one_cpu_meanwhile(void **state)
{
	struct criu_attach attach;
	struct fixture f = { 0 };
	cpu_set_t cpus;

	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	start(&f, AS_4_1);
	assert_int_equal(criu_attach_begin(&attach, f.criu, -1, 0, &f.err), 0);
	assert_int_equal(write(f.sock, "", 1), 1);
	assert_int_equal(criu_attach_run(&attach, &f.err), 0);
	assert_int_equal(seen->cpus, 1);
	same_cpus(0, &cpus);
	same_cpus(f.criu, &cpus);
	kill(f.criu, SIGKILL);
	assert_int_equal(waitpid(f.criu, NULL, 0), f.criu);
	close(f.sock);
	close(f.task_ended);
}

static void no_criu(void **state)
{
	struct criu_attach attach;
	struct error err = { 0 };

	assert_int_equal(criu_attach_begin(&attach, 0, -1, 0, &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_dies_with_3_17),
		cmocka_unit_test(task_dies_with_4_1),
		cmocka_unit_test(tasks_die_in_fewer_stops),
		cmocka_unit_test(fewer_tasks_than_told),
		cmocka_unit_test(more_tasks_than_told),
		cmocka_unit_test(criu_dies_meanwhile),
		cmocka_unit_test(given_up_in_a_wait),
		cmocka_unit_test(given_up_in_spite_of_a_mask),
		cmocka_unit_test(given_up_at_work),
		cmocka_unit_test(one_cpu_meanwhile),
		cmocka_unit_test(no_criu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
