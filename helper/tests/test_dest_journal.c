// SPDX-License-Identifier: GPL-2.0
/* The header of a stream goes to the journal, whatever descriptor the source names. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/journal.h"

static int begin(int fd, struct error *err)
{
	Migrate__JournalStream stream = MIGRATE__JOURNAL_STREAM__INIT, *list[] = { &stream };
	Migrate__Process go = MIGRATE__PROCESS__INIT;

	stream.fd = fd;
	stream.header = "name\n\n6\n1\n0\n0\n0\n";
	go.journal_streams = list;
	go.n_journal_streams = 1;
	*err = (struct error){ 0 };
	return journal_streams_begin(&go, getpid(), err);
}

static void another_descriptor(void **state)
{
	struct error err;
	int pair[2], ends[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(begin(pair[0], &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_int_equal(read(pair[1], &byte, 1), -1);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(begin(ends[1], &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	close(ends[0]);
	close(ends[1]);
	/* and one that is not there */
	assert_int_equal(begin(1000, &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
}

static int bound(const struct sockaddr_un *addr, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	unlink(addr->sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connected(const struct sockaddr_un *addr, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	return fd;
}

static void a_stream_is_known_by_its_peer(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX }, other = { .sun_family = AF_UNIX };
	int server, client, log, lost;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/test-dest-journal-%d", getpid());
	snprintf(other.sun_path, sizeof(other.sun_path), "/tmp/test-dest-journal-%d-log", getpid());
	server = bound(&addr, SOCK_STREAM);
	log = bound(&other, SOCK_DGRAM);
	client = connected(&addr, SOCK_STREAM);
	lost = connected(&other, SOCK_DGRAM);
	assert_true(journal_is_stream(client, addr.sun_path));
	assert_false(journal_is_stream(client, other.sun_path));
	assert_false(journal_is_stream(lost, other.sun_path));
	assert_false(journal_is_stream(server, addr.sun_path));
	close(client);
	close(lost);
	close(log);
	close(server);
	unlink(addr.sun_path);
	unlink(other.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_descriptor), cmocka_unit_test(a_stream_is_known_by_its_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
