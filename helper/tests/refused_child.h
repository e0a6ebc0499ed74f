/* SPDX-License-Identifier: GPL-2.0 */
/* A child of the test that has a thing, and what is found of it. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_REFUSED_CHILD_H
#define MIGRATE_TESTS_REFUSED_CHILD_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "source/refuse.h"
#include "source/surroundings.h"

/** struct child - a process that has a thing, and what is found of it */
struct child {
	struct migrate_options opts;
	struct criu_version criu;
	struct source_process process, *list[1];
	struct tree tree;
	struct vma_list vmas;
	struct losses losses;
	struct surroundings around;
	struct inspection look;
	struct proc_files files;
	struct error err;
};

/* @set runs in the child, which then waits. */
static inline void child_start(struct child *child, void (*set)(void))
{
	int ready[2];
	char byte;

	memset(child, 0, sizeof(*child));
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child->process.pid = fork();
	assert_true(child->process.pid >= 0);
	if (!child->process.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* whatever the tests write to is not the child's */
		for (int fd = 0; fd < 3; fd++)
			dup2(open("/dev/null", O_RDWR | O_CLOEXEC), fd);
		set();
		if (write(ready[1], "r", 1) == 1)
			close(ready[1]);
		close(ready[0]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* end of file: the child has closed its ends too */
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	child->list[0] = &child->process;
	child->tree = (struct tree){ .processes = child->list, .nr = 1 };
	child->around.tree = &child->tree;
	child->look = (struct inspection){
		.tree = &child->tree, .around = &child->around,
		.opts = &child->opts, .criu = &child->criu, .losses = &child->losses,
		.process = &child->process, .vmas = &child->vmas,
		.attached = &child->process.attached,
	};
	assert_int_equal(proc_files_read(child->process.pid, &child->files, &child->err), 0);
	assert_int_equal(maps_read(child->process.pid, true, &child->vmas, &child->err), 0);
}

static inline void child_end(struct child *child)
{
	kill(child->process.pid, SIGKILL);
	waitpid(child->process.pid, NULL, 0);
	proc_files_free(&child->files);
	maps_free(&child->vmas);
	surroundings_forget(&child->around);
	losses_free(&child->losses);
}

static inline size_t found(const struct child *child, enum loss loss)
{
	return child->losses.count[loss];
}

/* The first detail of a row. */
static inline const char *detail(const struct child *child, enum loss loss)
{
	for (size_t i = 0; i < child->losses.nr; i++)
		if (child->losses.items[i].loss == loss)
			return child->losses.items[i].detail;
	return "";
}

#endif
