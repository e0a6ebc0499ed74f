/* SPDX-License-Identifier: GPL-2.0 */
/* A child of the test that waits to be looked at. */
#ifndef MIGRATE_TESTS_IDLE_CHILD_H
#define MIGRATE_TESTS_IDLE_CHILD_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static inline pid_t child_start(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static inline void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
