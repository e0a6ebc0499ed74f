// SPDX-License-Identifier: GPL-2.0
/* The refuse_*.c, each against a child with the descriptor or state that it looks for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/refused_child.h"

static int outer[2], inner[2];
static char path[64];

static void set_pipes(void)
{
	/* of the outer one the parent keeps the reading end, and the child the writing one */
	close(outer[0]);
	if (pipe(inner))
		_exit(1);
}

static void pipes(void **state)
{
	struct child child;
	char text[64];
	bool changed;

	assert_int_equal(pipe2(outer, O_CLOEXEC), 0);
	child_start(&child, set_pipes);
	assert_int_equal(refuse_pipes(&child.look, &child.files, &child.err), 0);
	/* the inner one has both ends in the child */
	snprintf(text, sizeof(text), "descriptor %d ", outer[1]);
	assert_int_equal(found(&child, LOSS_PIPE), 1);
	assert_int_equal(strncmp(detail(&child, LOSS_PIPE), text, strlen(text)), 0);
	snprintf(text, sizeof(text), "leads to process %d ", getpid());
	assert_non_null(strstr(detail(&child, LOSS_PIPE), text));
	assert_int_equal(refuse_pipes_changed(&child.look, &child.files, &changed, &child.err), 0);
	assert_false(changed);
	/* another process is in the tree: it may have left the program, and hold an end */
	child.process.mm.object++;
	assert_int_equal(refuse_pipes_changed(&child.look, &child.files, &changed, &child.err), 0);
	assert_true(changed);
	close(outer[0]);
	close(outer[1]);
	child_end(&child);
}

static void set_files(void)
{
	int fd = open(path, O_RDWR);

	if (fd < 0 || open(path, O_WRONLY | O_APPEND) < 0 || open(path, O_RDONLY) < 0 ||
	    open("/proc/self/oom_score_adj", O_RDWR) < 0 ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		_exit(1);
}

static void files(void **state)
{
	struct child child;
	int fd;

	strcpy(path, "/tmp/test_refuse.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	child_start(&child, set_files);
	assert_int_equal(refuse_files(&child.look, &child.files, &child.err), 0);
	refuse_mappings(&child.look, &child.vmas);
	assert_int_equal(found(&child, LOSS_WRITABLE_FILE), 1);
	assert_int_equal(found(&child, LOSS_APPENDED_FILE), 1);
	assert_int_equal(found(&child, LOSS_SHARED_MAPPING), 1);
	assert_string_equal(detail(&child, LOSS_SHARED_MAPPING), path);
	losses_free(&child.losses);
	child.opts.shared_storage[0] = "/tmp";
	child.opts.nr_shared_storage = 1;
	assert_int_equal(refuse_files(&child.look, &child.files, &child.err), 0);
	refuse_mappings(&child.look, &child.vmas);
	assert_int_equal(child.losses.nr, 0);
	child_end(&child);
	unlink(path);
}

static void storage(void **state)
{
	struct migrate_options opts = { .shared_storage = { "/srv/a", "" }, .nr_shared_storage = 1 };

	assert_true(storage_is_shared(&opts, NULL, "/srv/a"));
	assert_true(storage_is_shared(&opts, NULL, "/srv/a/b"));
	assert_false(storage_is_shared(&opts, NULL, "/srv/ab"));
	assert_false(storage_is_shared(&opts, NULL, "/srv"));
	opts.nr_shared_storage = 2;
	assert_true(storage_is_shared(&opts, NULL, "/anything"));
}

static void *shared;

static void set_nothing(void)
{
}

static void shared_memory(void **state)
{
	struct child child;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	child_start(&child, set_nothing);
	assert_int_equal(refuse_shared(&child.look, &child.files, &child.err), 0);
	assert_int_equal(found(&child, LOSS_SHARED_MEMORY), 1);
	munmap(shared, 4096);
	losses_free(&child.losses);
	surroundings_forget(&child.around);
	/* the child's alone now */
	assert_int_equal(refuse_shared(&child.look, &child.files, &child.err), 0);
	assert_int_equal(found(&child, LOSS_SHARED_MEMORY), 0);
	child_end(&child);
}

static void set_segment(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);

	shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
}

static void set_own_segment(void)
{
	if (unshare(CLONE_NEWIPC))
		_exit(1);
	set_segment();
}

static void system_v(void **state)
{
	struct refusals here = { 0 }, own = { 0 };
	struct child child;

	child_start(&child, set_segment);
	refuse_memory(&child.look, &here);
	assert_int_equal(here.nr, 1);
	assert_non_null(strstr(here.first.what, "uses System V shared memory"));
	child_end(&child);
	child_start(&child, set_own_segment);
	refuse_memory(&child.look, &own);
	assert_int_equal(own.nr, 0);
	child_end(&child);
}

static int pty_open(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) || unlockpt(master))
		_exit(1);
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	return master;
}

static void set_terminal(void)
{
	close(outer[0]);
}

static void set_pty(void)
{
	close(outer[0]);
	close(outer[1]);
	pty_open(&inner[0]);
}

static void terminals(void **state)
{
	struct refusals refusals = { 0 };
	struct child child;
	char text[64];

	outer[0] = pty_open(&outer[1]);
	child_start(&child, set_terminal);
	assert_int_equal(proc_status_read(child.process.pid, &child.process.status, &child.err), 0);
	assert_int_equal(refuse_terminals(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 1);
	snprintf(text, sizeof(text), "descriptor %d of ", outer[1]);
	assert_non_null(strstr(refusals.first.what, text));
	assert_non_null(strstr(refusals.first.hint, "--replace-tty FILE"));
	/* the child is in the session of the test */
	assert_int_equal(found(&child, LOSS_SESSION), 1);
	assert_false(child.process.attached.terminals.leads);
	child.opts.replace_tty = "/dev/null";
	memset(&refusals, 0, sizeof(refusals));
	assert_int_equal(refuse_terminals(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 0);
	assert_int_equal(child.process.attached.terminals.nr, 1);
	assert_int_equal(found(&child, LOSS_TERMINAL), 1);
	terminals_free(&child.process.attached.terminals);
	child_end(&child);
	/* the other end is its own: nothing is in the way */
	child_start(&child, set_pty);
	assert_int_equal(proc_status_read(child.process.pid, &child.process.status, &child.err), 0);
	assert_int_equal(refuse_terminals(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 0);
	assert_int_equal(child.process.attached.terminals.nr, 0);
	child_end(&child);
	close(outer[0]);
	close(outer[1]);
}

static void attributes(void **state)
{
	struct child child;

	child_start(&child, set_nothing);
	assert_int_equal(refuse_attributes(&child.look, &child.files, &child.err), 0);
	assert_int_equal(refuse_cgroup(&child.look, &child.err), 0);
	assert_int_equal(found(&child, LOSS_ACCOUNTING), 1);
	assert_int_equal(losses_refused(&child.losses, &child.err), 0);
	child_end(&child);
}

/* The other end of a pipe, of a socket pair, and shared memory are a child's, which moves too. */
static void set_family(void)
{
	int ends[2], pair[2];
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED || pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		_exit(1);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int fd = 3; fd < 1024; fd++)
			if (fd != ends[0] && fd != pair[0])
				close(fd);
		for (;;)
			pause();
	}
	close(ends[0]);
	close(pair[0]);
}

static void a_family(void **state)
{
	struct refusals refusals = { 0 };
	struct child child;

	child_start(&child, set_family);
	assert_int_equal(refuse_pipes(&child.look, &child.files, &child.err), 0);
	assert_int_equal(found(&child, LOSS_PIPE), 0);
	assert_int_equal(refuse_shared(&child.look, &child.files, &child.err), 0);
	assert_int_equal(found(&child, LOSS_SHARED_MEMORY), 0);
	assert_int_equal(refuse_unix(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 0);
	child_end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family),
		cmocka_unit_test(pipes),
		cmocka_unit_test(files),
		cmocka_unit_test(storage),
		cmocka_unit_test(shared_memory),
		cmocka_unit_test(system_v),
		cmocka_unit_test(terminals),
		cmocka_unit_test(attributes),
	};

	/* make and shells leave pipes open */
	close_range(3, ~0U, 0);
	/* a session from outside of the PID namespace, as in a container, is refused; this fails for who leads a group */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
