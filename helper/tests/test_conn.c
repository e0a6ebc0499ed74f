// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/conn_fd.h"
#include "wire/conn.h"
#include "wire/tls_link.h"

static const uint8_t id[CONN_ID_BYTES] = "0123456789abcde";

static int open_listener(char *where, size_t size)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	int fd = conn_listen("127.0.0.1:0", &err);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (void *)&addr, &len), 0);
	snprintf(where, size, "127.0.0.1:%d", ntohs(addr.sin_port));
	return fd;
}

static int connect_raw(const char *where)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(atoi(strchr(where, ':') + 1)),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static void tcp_needs_a_word(void **state)
{
	static const char *const tcp[] = { "127.0.0.1", "localhost:1", "[::1]:7070", "10.0.0.1", "" };

	for (size_t i = 0; i < sizeof(tcp) / sizeof(*tcp); i++) {
		struct error err = { 0 };

		assert_int_equal(conn_check_where(tcp[i], false, &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
		assert_non_null(strstr(err.hint, "--insecure"));
		assert_int_equal(conn_check_where(tcp[i], true, &err), 0);
	}
	assert_int_equal(conn_check_where("unix:/run/x/y", false, &(struct error){ 0 }), 0);
	assert_int_equal(conn_check_where("unix:", false, &(struct error){ 0 }), -1);
	assert_int_equal(conn_check_where("unix:x", true, &(struct error){ 0 }), -1);
	assert_int_equal(conn_check_where("unix:/run/", true, &(struct error){ 0 }), -1);
}

/* An accepted connection with its preamble, or -1. */
static int take_in(int listener, struct conn_preamble *pre, char *peer, size_t size,
		   struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd = accept(listener, (void *)&addr, &len);

	conn_address_text(&addr, len, peer, size);
	if (!conn_read(CONN(fd), pre, sizeof(*pre), 50, err) && !conn_check_preamble(pre, err))
		return fd;
	close(fd);
	return -1;
}

static void bad_addresses(void **state)
{
	static const char *const bad[] = { "[::1", "[::1]x", "a:", "[]7", "a:b", "a:65536", "a:-1",
					   "a:99999999999", ":7070x", "[::1]:+1" };
	char longest[1000];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = { 0 };

		assert_int_equal(conn_listen(bad[i], &err), -1);
		assert_int_equal(err.code, CODE_USAGE);
		assert_int_equal(conn_check_where(bad[i], true, &(struct error){ 0 }), -1);
	}
	assert_int_equal(conn_check_where("no.such.host.invalid:65535", true, &(struct error){ 0 }), 0);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(conn_listen(longest, &(struct error){ 0 }), -1);
}

static const struct tls_keys plain;
static struct tls_peer peer_of_tls;

static void preamble_comes_through(void **state)
{
	struct conn_preamble pre;
	struct error err = { 0 };
	char where[64], peer[64];
	int listener = open_listener(where, sizeof(where)), server;
	struct conn client;

	assert_int_equal(tls_link_connect(&client, where, CONN_URGENT, id, &plain, &peer_of_tls, &err), 0);
	server = take_in(listener, &pre, peer, sizeof(peer), &err);
	assert_true(server >= 0);
	assert_int_equal(pre.kind, CONN_URGENT);
	assert_memory_equal(pre.id, id, sizeof(id));
	assert_memory_equal(peer, "127.0.0.1:", 10);
	assert_int_equal(conn_write(&client, "hello", 5, 0, &err), 0);
	assert_int_equal(conn_read(CONN(server), peer, 5, 0, &err), 0);
	assert_memory_equal(peer, "hello", 5);
	conn_close(&client);
	assert_int_equal(conn_read(CONN(server), peer, 1, 0, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	close(server);
	close(listener);
}

static void strangers_are_closed(void **state)
{
	static const struct {
		const char *bytes;
		size_t nr;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36 },
		{ "SVMC\2\0\1\0iiiiiiiiiiiiiiii\0\0\0\0\0\0\0\0", 32 },
		{ "SVMC\1\0\0\0iiiiiiiiiiiiiiii\0\0\0\0\0\0\0\0", 32 },
		{ "SVMC\1\0\4\0iiiiiiiiiiiiiiii\0\0\0\0\0\0\0\0", 32 },
		{ "SVMC\1\0\1\1iiiiiiiiiiiiiiii\0\0\0\0\0\0\0\0", 32 },
		{ "SVMC\1\0\1\0iiiiiiiiiiiiiiii\0\0\0\0\0\0\0\1", 32 },
		{ "SVMC", 4 },
		{ "", 0 },
	};
	char where[64];
	int listener = open_listener(where, sizeof(where));

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conn_preamble pre;
		struct error err = { 0 };
		char byte, peer[64];
		int fd = connect_raw(where);

		if (cases[i].nr)
			assert_int_equal(write(fd, cases[i].bytes, cases[i].nr), cases[i].nr);
		assert_int_equal(take_in(listener, &pre, peer, sizeof(peer), &err), -1);
		assert_true(error_is_set(&err));
		/* it learns nothing but that it is closed */
		assert_true(recv(fd, &byte, 1, 0) <= 0);
		close(fd);
	}
	close(listener);
}

static void silence_is_told(void **state)
{
	struct error err = { 0 };
	int fd[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(conn_read(CONN(fd[0]), &byte, 1, 30, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	assert_non_null(strstr(err.what, "30 ms"));
	close(fd[0]);
	close(fd[1]);
}

static void a_full_pipe_is_told(void **state)
{
	size_t bytes = 64 << 20;
	char *buf = calloc(1, bytes);
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(conn_write(CONN(fd[0]), buf, bytes, 30, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	close(fd[1]);
	memset(&err, 0, sizeof(err));
	/* and no signal ends us */
	assert_int_equal(conn_write(CONN(fd[0]), buf, bytes, 30, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	close(fd[0]);
	free(buf);
}

static void *stall(void *arg)
{
	int *fd = arg;
	char buf[1 << 16];

	sleep(CONN_LOST_MS / 1000 + 1);
	while (recv(*fd, buf, sizeof(buf), 0) > 0)
		;
	sleep(CONN_LOST_MS / 1000 + 1);
	assert_int_equal(send(*fd, "x", 1, 0), 1);
	return NULL;
}

/* After COMMIT the memory is on this connection alone: nobody gives it up who can wait. */
static void a_stall_is_waited_for(void **state)
{
	size_t bytes = 4 << 20;
	char *buf = calloc(1, bytes), byte;
	struct error err = { 0 };
	pthread_t thread;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, stall, &fd[1]), 0);
	assert_int_equal(conn_write(CONN(fd[0]), buf, bytes, 0, &err), 0);
	shutdown(fd[0], SHUT_WR);
	assert_int_equal(conn_read(CONN(fd[0]), &byte, 1, 0, &err), 0);
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
	free(buf);
}

static void nobody_listens(void **state)
{
	char where[64];
	struct error err = { 0 };
	struct conn conn;

	close(open_listener(where, sizeof(where)));
	assert_int_equal(tls_link_connect(&conn, where, CONN_CONTROL, id, &plain, &peer_of_tls, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	assert_true(*err.hint);
}

static char dir[64];

static void socket_path(char *where, size_t size, const char *name)
{
	snprintf(where, size, "unix:%s/%s", dir, name);
}

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/test-conn-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void unix_comes_through(void **state)
{
	char where[128], peer[64], made[80];
	struct conn_preamble pre;
	struct error err = { 0 };
	struct conn client;
	int listener, server;
	struct stat st;

	socket_path(where, sizeof(where), "made/sock");
	listener = conn_listen(where, &err);
	assert_true(listener >= 0);
	assert_int_equal(stat(where + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(made, sizeof(made), "%s/made", dir);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(tls_link_connect(&client, where, CONN_MEMORY, id, &plain, &peer_of_tls, &err), 0);
	conn_tune(client.fd);
	server = take_in(listener, &pre, peer, sizeof(peer), &err);
	assert_true(server >= 0);
	assert_int_equal(pre.kind, CONN_MEMORY);
	assert_string_equal(peer, "unix:");
	conn_close(&client);
	close(server);
	close(listener);
}

static void only_a_stale_socket_is_replaced(void **state)
{
	struct error err = { 0 };
	int listener, second;
	char where[128];
	FILE *file;

	socket_path(where, sizeof(where), "sock");
	listener = conn_listen(where, &err);
	assert_true(listener >= 0);
	assert_int_equal(conn_listen(where, &err), -1);
	assert_non_null(strstr(err.what, "another program listens"));
	close(listener);
	memset(&err, 0, sizeof(err));
	second = conn_listen(where, &err);
	assert_true(second >= 0);
	close(second);
	unlink(where + 5);
	file = fopen(where + 5, "w");
	fclose(file);
	assert_int_equal(conn_listen(where, &err), -1);
	assert_non_null(strstr(err.what, "no socket of ours"));
	assert_int_equal(access(where + 5, F_OK), 0);
}

static void a_directory_of_another_is_refused(void **state)
{
	struct error err = { 0 };
	char where[128], path[128];

	snprintf(path, sizeof(path), "%s/theirs", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 4711, 4711), 0);
	socket_path(where, sizeof(where), "theirs/sock");
	assert_int_equal(conn_listen(where, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_non_null(strstr(err.what, "belongs to user 4711"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_needs_a_word), cmocka_unit_test(bad_addresses),
		cmocka_unit_test(preamble_comes_through), cmocka_unit_test(strangers_are_closed),
		cmocka_unit_test(silence_is_told), cmocka_unit_test(a_full_pipe_is_told),
		cmocka_unit_test(a_stall_is_waited_for), cmocka_unit_test(nobody_listens),
		cmocka_unit_test_setup_teardown(unix_comes_through, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(only_a_stale_socket_is_replaced, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_directory_of_another_is_refused, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
