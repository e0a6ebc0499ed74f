// SPDX-License-Identifier: GPL-2.0
/* Work in another mount namespace. Linked with --wrap=poll: a deadline is over sooner. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/in_mounts.h"
#include "tests/real_walks.h"

#define DEADLINE_MS	10000

static int deadline_ms;

int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout_ms)
{
	deadline_ms = timeout_ms;
	return __real_poll(fds, nr, timeout_ms == DEADLINE_MS ? 200 : timeout_ms);
}

/** struct place - where the other namespace is, and a descriptor that what runs there must not have */
struct place {
	pid_t init;
	int fd;
};

/* A process in a mount namespace of its own, which has a file that is not here. */
static int start(void **state)
{
	static struct place place;
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	place.fd = open("/dev/null", O_RDONLY);
	place.init = fork();
	if (!place.init) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("own", "/mnt", "tmpfs", 0, NULL) || mkdir("/mnt/only-there", 0700) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	*state = &place;
	return read(ready[0], &byte, 1) == 1 ? close(ready[0]) : -1;
}

static int stop(void **state)
{
	struct place *place = *state;

	close(place->fd);
	kill(place->init, SIGKILL);
	return waitpid(place->init, NULL, 0) != place->init;
}

static int look_around(const void *ctx)
{
	const struct place *place = ctx;

	if (fcntl(place->fd, F_GETFD) >= 0)
		return -1;
	return access("/mnt/only-there", F_OK) ? errno : 0;
}

static void it_is_there_and_has_nothing_of_here(void **state)
{
	struct place *place = *state;

	assert_int_equal(access("/mnt/only-there", F_OK), -1);
	assert_int_equal(in_mounts(place->init, look_around, place), 0);
	assert_int_equal(access("/mnt/only-there", F_OK), -1);
}

static int refuse(const void *ctx)
{
	errno = EPERM;
	return errno;
}

static int die(const void *ctx)
{
	_exit(3);
}

static void failures_are_told(void **state)
{
	struct place *place = *state;

	assert_int_equal(in_mounts(place->init, refuse, NULL), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(in_mounts(place->init, die, NULL), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(in_mounts(0x7ffffff0, refuse, NULL), -1);
}

static int wait_for_ever(const void *ctx)
{
	while (ctx || pause())
		;
	return 0;
}

/* A file system whose server does not answer. */
static void it_is_not_waited_for_for_ever(void **state)
{
	struct place *place = *state;

	assert_int_equal(in_mounts(place->init, wait_for_ever, NULL), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(deadline_ms, DEADLINE_MS);
	/* it was killed: the namespace's own process is the only child that is left */
	assert_int_equal(kill(place->init, SIGKILL), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(errno, ECHILD);
	place->init = fork();
	if (!place->init)
		_exit(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_there_and_has_nothing_of_here, start, stop),
		cmocka_unit_test_setup_teardown(failures_are_told, start, stop),
		cmocka_unit_test_setup_teardown(it_is_not_waited_for_for_ever, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
