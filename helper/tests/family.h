/* SPDX-License-Identifier: GPL-2.0 */
/* A program of several processes, for tests that freeze it: the root counts, and another one too. */
#ifndef MIGRATE_TESTS_FAMILY_H
#define MIGRATE_TESTS_FAMILY_H

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include "tests/counting.h"

#define LATER_MS	20000

/** struct others - shared with the program; @count: of its youngest process, which has the pid @pid */
static volatile struct others {
	uint64_t count;
	pid_t pid, parent;
} *others;

static inline void count_on(void)
{
	others->pid = getpid();
	alarm(60);
	for (;;) {
		others->count++;
		usleep(100);
	}
}

/* A child, and a child of the child that counts, whose parent ends at SIGTERM. */
static inline void have_descendants(int sig)
{
	if (fork())
		return;
	signal(SIGTERM, SIG_DFL);
	alarm(60);
	others->parent = getpid();
	if (!fork())
		count_on();
	for (;;)
		pause();
}

/* Until the first thread has ended: on its way out the kernel lists it in no group, and it is no zombie yet. */
static inline void wait_alone(void)
{
	struct proc_status status = { 0 };
	struct error err = { 0 };

	while (status.state != 'Z' && !proc_stat_read(getpid(), &status, &err))
		usleep(1000);
}

static inline void *count_in_thread(void *arg)
{
	wait_alone();
	count_on();
	return NULL;
}

/* A child whose first thread ends, and whose other thread counts. */
static inline void have_headless(int sig)
{
	pthread_t thread;

	if (fork())
		return;
	if (!pthread_create(&thread, NULL, count_in_thread, NULL))
		pthread_exit(NULL);
	_exit(1);
}

static inline void begin(void)
{
	signal(SIGUSR1, have_descendants);
	signal(SIGUSR2, have_headless);
}

static inline bool other_runs(void)
{
	const struct counting other = { .count = &others->count };

	return counting_runs(&other);
}

static inline bool other_stands(void)
{
	const struct counting other = { .count = &others->count };

	return counting_stands(&other);
}

/** family_start() - the root alone: family_have() gives it another process */
static inline void family_start(struct counting *program)
{
	others = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(others != MAP_FAILED);
	counting_start(program, begin);
}

static inline void family_end(struct counting *program)
{
	kill(program->pid, SIGKILL);
	waitpid(program->pid, NULL, 0);
	if (others->pid)
		kill(others->pid, SIGKILL);
	if (others->parent)
		kill(others->parent, SIGKILL);
	munmap((void *)program->count, 4096);
	munmap((void *)others, 4096);
}

/** family_have() - @sig: SIGUSR1: a child with a child that counts; SIGUSR2: a child without its first thread */
static inline void family_have(struct counting *program, int sig)
{
	kill(program->pid, sig);
	for (int ms = 0; ms < LATER_MS && !others->count; ms++)
		usleep(1000);
	assert_true(other_runs());
}

#endif
