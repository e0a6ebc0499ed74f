/* SPDX-License-Identifier: GPL-2.0 */
/* A program that counts, for tests that freeze the program. */
#ifndef MIGRATE_TESTS_COUNTING_H
#define MIGRATE_TESTS_COUNTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#define STANDS_MS	100
#define COUNTING_MS	30000	/* until a program that runs is seen to run, at the latest */

/** struct counting - @count: shared with the program @pid, and so is @go, which is 0 at first */
struct counting {
	volatile uint64_t *count, *go;
	pid_t pid;
};

static inline bool counting_runs(const struct counting *program)
{
	uint64_t count = *program->count;

	for (int ms = 0; ms < COUNTING_MS && *program->count == count; ms++)
		usleep(1000);
	return *program->count != count;
}

/* A program that runs is seen to run now and then only: this may miss it, and never fails wrongly. */
static inline bool counting_stands(const struct counting *program)
{
	uint64_t count = *program->count;

	usleep(STANDS_MS * 1000);
	return *program->count == count;
}

/** counting_start() - @begin: called in the program first, or NULL. It ends with the test */
static inline void counting_start(struct counting *program, void (*begin)(void))
{
	pid_t parent = getpid();

	program->count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(program->count != MAP_FAILED);
	program->go = program->count + 1;
	program->pid = fork();
	if (program->pid) {
		assert_true(counting_runs(program));
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (begin)
		begin();
	while (getppid() == parent) {
		++*program->count;
		usleep(100);
	}
	_exit(0);
}

#endif
