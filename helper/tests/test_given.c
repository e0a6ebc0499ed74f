// SPDX-License-Identifier: GPL-2.0
/* Descriptors of the command line: what each may be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/test_dir.h"
#include "wire/given.h"
#include "wire/keygen.h"

static struct error err;
static int unix_fds[3][2];

static int open_all(void **state)
{
	memset(&err, 0, sizeof(err));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, unix_fds[i]), 0);
	return 0;
}

static int close_all(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		close(unix_fds[i][0]);
		close(unix_fds[i][1]);
	}
	return 0;
}

static struct given all_three(void)
{
	return (struct given){
		.rpc = unix_fds[0][0], .mem = { unix_fds[1][0], unix_fds[2][0] }, .nr_mem = 2, .fs = -1, .msg = -1,
	};
}

static void refused(const struct given *given, const char *what)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(given_check(given, &err), -1);
	assert_int_equal(err.code, CODE_USAGE);
	assert_non_null(strstr(err.what, what));
}

static void none(void **state)
{
	struct given given = GIVEN_NONE;

	assert_false(given_has_link(&given));
	assert_int_equal(given_check(&given, &err), 0);
}

static void whole_link(void **state)
{
	struct given given = all_three();

	assert_int_equal(given_check(&given, &err), 0);
	/* no other program inherits it, and calls wait on it */
	assert_int_equal(fcntl(given.mem[1], F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(given.rpc, F_GETFL) & O_NONBLOCK);
}

static void parts_are_missing(void **state)
{
	struct given given = all_three();

	given.nr_mem = 1;
	refused(&given, "second one carries");
	given.nr_mem = 0;
	refused(&given, "--fdmem is missing");
	given = all_three();
	given.rpc = -1;
	refused(&given, "--fdrpc is missing");
}

static void one_socket_twice(void **state)
{
	struct given given = all_three();

	given.mem[1] = given.mem[0];
	refused(&given, "are one socket");
	given.mem[1] = dup(given.rpc);
	refused(&given, "are one socket");
	close(given.mem[1]);
	given = all_three();
	given.msg = given.rpc;
	refused(&given, "are one socket");
}

static void no_sockets(void **state)
{
	struct given given = GIVEN_NONE;
	int pipe_fds[2], pair[2];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	given.msg = pipe_fds[0];
	refused(&given, "is no stream socket");
	given.msg = pair[0];
	refused(&given, "is no stream socket");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	given.msg = pipe_fds[0];
	refused(&given, "Bad file descriptor");
	close(pair[0]);
	close(pair[1]);
	given.msg = socket(AF_UNIX, SOCK_STREAM, 0);
	refused(&given, "has no other end");
	close(given.msg);
}

static int far = -1;

static int connect_tcp(void)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	assert_int_equal(bind(listener, (void *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&addr, &len), 0);
	assert_int_equal(connect(near, (void *)&addr, len), 0);
	far = accept(listener, NULL, NULL);
	assert_true(far >= 0);
	close(listener);
	return near;
}

static struct tls_keys keys;

static void keys_are_refused(const struct given *given, const struct tls_options *opts, const char *what, const char *hint)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(given_find_keys(given, &keys, opts, &err), -1);
	assert_int_equal(err.code, CODE_USAGE);
	assert_non_null(strstr(err.what, what));
	assert_non_null(strstr(err.hint, hint));
}

static void keys_are(const struct given *given, const struct tls_options *opts, enum tls_proof_kind proof)
{
	memset(&err, 0, sizeof(err));
	memset(&keys, -1, sizeof(keys));
	assert_int_equal(given_find_keys(given, &keys, opts, &err), 0);
	assert_int_equal(keys.proof, proof);
}

/* One connection of TCP is enough: each of the three is TLS then, as the other end cannot know which it is. */
static void tcp_needs_keys(void **state)
{
	struct tls_options none = { 0 }, psk = { .no_ktls = true }, insecure = { .insecure = true };
	struct given given = all_three();
	struct test_dir dir;
	char path[128];

	dir_make(&dir);
	snprintf(path, sizeof(path), "%s/key", dir.path);
	assert_int_equal(keygen_psk(path, "one", &err), 0);
	psk.psk = path;
	given.mem[0] = connect_tcp();
	assert_int_equal(given_check(&given, &err), 0);
	keys_are_refused(&given, &none, "without encryption", "--insecure-fds");
	keys_are(&given, &psk, TLS_PSK);
	assert_true(keys.no_ktls);
	keys_are_refused(&given, &insecure, "--insecure is for an address", "--insecure-fds");
	given.insecure = true;
	keys_are(&given, &none, TLS_NONE);
	keys_are_refused(&given, &psk, "cannot be had with it", "");
	close(given.mem[0]);
	close(far);
	dir_remove(&dir);
}

/* A program may carry them on to another machine: then the user names keys. */
static void unix_sockets_need_none(void **state)
{
	struct tls_options none = { 0 }, psk = { 0 };
	struct given given = all_three();
	struct test_dir dir;
	char path[128];

	dir_make(&dir);
	snprintf(path, sizeof(path), "%s/key", dir.path);
	assert_int_equal(keygen_psk(path, "one", &err), 0);
	psk.psk = path;
	keys_are(&given, &none, TLS_NONE);
	keys_are(&given, &psk, TLS_PSK);
	/* a manager is told no memory */
	given.msg = connect_tcp();
	keys_are(&given, &none, TLS_NONE);
	close(given.msg);
	close(far);
	dir_remove(&dir);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(none), CASE(whole_link), CASE(parts_are_missing), CASE(one_socket_twice), CASE(no_sockets),
		CASE(tcp_needs_keys), CASE(unix_sockets_need_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
