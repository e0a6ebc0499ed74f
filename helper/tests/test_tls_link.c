// SPDX-License-Identifier: GPL-2.0
/* TLS of a migration's connections: real processes make the handshakes, over TCP on the loopback interface. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "tests/test_dir.h"
#include "wire/keygen.h"
#include "wire/tls_link.h"
#include "wire/tls_process.h"

#define WAIT_MS		20000
#define BIG		(3 << 20)

/** struct bench - two ends, 0 the client and 1 the server */
struct bench {
	struct test_dir dir;
	struct conn conn[2];
	struct tls_keys keys[2];
	struct tls_peer peer[2];
	struct error err[2];
	const char *host;
};

static const char *path_of(const struct bench *bench, const char *name)
{
	static char paths[4][128];
	static int at;
	char *path = paths[at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", bench->dir.path, name);
	return path;
}

static void connect_pair(struct bench *bench)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_false(bind(listener, (void *)&addr, len) || listen(listener, 1));
	assert_int_equal(getsockname(listener, (void *)&addr, &len), 0);
	bench->conn[0] = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_int_equal(connect(bench->conn[0].fd, (void *)&addr, len), 0);
	bench->conn[1] = (struct conn){ .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC) };
	assert_true(bench->conn[1].fd >= 0);
	close(listener);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct error err = { 0 };

	*state = bench;
	dir_make(&bench->dir);
	bench->host = "127.0.0.1";
	assert_int_equal(keygen_psk(path_of(bench, "one"), "one", &err), 0);
	assert_int_equal(keygen_psk(path_of(bench, "two"), "two", &err), 0);
	assert_int_equal(keygen_host(path_of(bench, "ca"), "node,127.0.0.1", 10, &err), 0);
	assert_int_equal(keygen_host(path_of(bench, "ca"), "other.example", 10, &err), 0);
	assert_int_equal(keygen_host(path_of(bench, "alien"), "node,127.0.0.1", 10, &err), 0);
	connect_pair(bench);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn[0]);
	conn_close(&bench->conn[1]);
	/* each process that made TLS ends with its connection */
	while (waitpid(-1, NULL, 0) > 0)
		;
	dir_remove(&bench->dir);
	free(bench);
	unsetenv("MIGRATE_HELPER_TLS_RECORDS");
	return 0;
}

static void use_psk(struct bench *bench, int end, const char *name)
{
	const struct tls_options opts = { .psk = path_of(bench, name), .no_ktls = true };

	assert_int_equal(tls_keys_find(&bench->keys[end], &opts, "127.0.0.1", &bench->err[end]), 0);
}

static void use_dir(struct bench *bench, int end, const char *name)
{
	const struct tls_options opts = { .dir = path_of(bench, name), .no_ktls = true };

	assert_int_equal(tls_keys_find(&bench->keys[end], &opts, "127.0.0.1", &bench->err[end]), 0);
}

static void allow(struct bench *bench, const char *text)
{
	FILE *file = fopen(path_of(bench, "allow"), "w");

	assert_true(file && fputs(text, file) >= 0 && !fclose(file));
	snprintf(bench->keys[1].paths[TLS_FILE_ALLOW], PATH_MAX, "%s", path_of(bench, "allow"));
}

/* Return: true when both ends have it */
static bool shake_hands(struct bench *bench)
{
	struct tls_link link[2];
	bool good = true;

	for (int i = 0; i < 2; i++)
		assert_int_equal(tls_link_start(&link[i], bench->conn[i].fd, i, i ? NULL : bench->host,
						&bench->keys[i], &bench->err[i]), 0);
	for (int i = 0; i < 2; i++)
		if (tls_link_finish(&link[i], WAIT_MS, &bench->conn[i], &bench->peer[i],
				    &bench->err[i]))
			good = false;
	return good;
}

static void *send_big(void *arg)
{
	struct bench *bench = arg;
	static char bytes[BIG];

	for (size_t i = 0; i < BIG; i++)
		bytes[i] = i * 7 + (i >> 12);
	return conn_write(&bench->conn[0], bytes, BIG, WAIT_MS, &bench->err[0]) ? bench : NULL;
}

static void passes_big(struct bench *bench)
{
	static char bytes[BIG];
	pthread_t thread;
	void *failed;
	int ret;

	assert_int_equal(pthread_create(&thread, NULL, send_big, bench), 0);
	ret = conn_read(&bench->conn[1], bytes, BIG, WAIT_MS, &bench->err[1]);
	if (ret)
		conn_shutdown(&bench->conn[0]);
	pthread_join(thread, &failed);
	assert_false(ret || failed);
	for (size_t i = 0; i < BIG; i++)
		assert_int_equal(bytes[i], (char)(i * 7 + (i >> 12)));
}

static void passes(struct bench *bench, int from)
{
	char word[4] = "";

	assert_int_equal(conn_write(&bench->conn[from], "word", 4, WAIT_MS, &bench->err[from]), 0);
	assert_int_equal(conn_read(&bench->conn[!from], word, 4, WAIT_MS, &bench->err[!from]), 0);
	assert_memory_equal(word, "word", 4);
}

static void a_shared_key(void **state)
{
	struct bench *bench = *state;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	assert_string_equal(bench->peer[1].name, "one");
	assert_false(bench->peer[0].in_kernel);
	/* what the kernel knows of the link is asked of the TCP socket, and bytes go elsewhere */
	assert_true(conn_link_fd(&bench->conn[0]) != bench->conn[0].fd);
	passes(bench, 0);
	passes(bench, 1);
	passes_big(bench);
}

static void certificates(void **state)
{
	struct bench *bench = *state;

	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "ca/node");
	allow(bench, "# those\n\n  127.0.0.1  \n");
	assert_true(shake_hands(bench));
	assert_string_equal(bench->peer[1].name, "node");
	passes(bench, 0);
}

static void is_refused(struct bench *bench, const char *client_why, const char *server_why)
{
	assert_false(shake_hands(bench));
	assert_non_null(strstr(bench->err[0].what, client_why));
	assert_non_null(strstr(bench->err[1].what, server_why));
	/* both are as before */
	assert_int_equal(bench->conn[0].tcp, 0);
	assert_true(conn_is_open(&bench->conn[0]) && conn_is_open(&bench->conn[1]));
}

static void another_key(void **state)
{
	struct bench *bench = *state;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "two");
	is_refused(bench, "the destination refuses", "TLS handshake with the source failed");
}

static void another_authority(void **state)
{
	struct bench *bench = *state;

	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "alien/node");
	is_refused(bench, "no authority that is trusted here", "no authority that is trusted here");
}

static void another_name(void **state)
{
	struct bench *bench = *state;

	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "ca/other.example");
	is_refused(bench, "it is for another name than that of --to", "the source refuses");
}

/* Another program has opened the connection: no name says who may be at its other end, but a list can. */
static void a_connection_of_the_callers(void **state)
{
	struct bench *bench = *state;

	bench->host = NULL;
	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "ca/other.example");
	assert_true(shake_hands(bench));
	assert_string_equal(bench->peer[0].name, "other.example");
	assert_string_equal(bench->peer[1].name, "node");
	passes(bench, 1);
}

static void two_machines_are_not_one(void **state)
{
	struct tls_peer one = { .name = "one" }, other = { .name = "two" };
	struct error err = { 0 };

	assert_int_equal(tls_link_check_same(&one, &one, &err), 0);
	assert_int_equal(tls_link_check_same(&one, &other, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "\"one\" and \"two\""));
}

static void what_a_name_may_send(void **state)
{
	struct bench *bench = *state;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	allow(bench, "on uids=1\none\t uids=7  gids=8 \none\n");
	assert_true(shake_hands(bench));
	assert_string_equal(bench->peer[1].words, "uids=7  gids=8");
	assert_int_equal(tls_link_check_unlimited(&bench->peer[1], &bench->err[1]), -1);
	assert_int_equal(tls_link_check_unlimited(&bench->peer[0], &bench->err[0]), 0);
}

static void its_list_has_another_one(void **state)
{
	struct bench *bench = *state;

	bench->host = NULL;
	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "ca/other.example");
	allow(bench, "node\n");
	memcpy(bench->keys[0].paths[TLS_FILE_ALLOW], bench->keys[1].paths[TLS_FILE_ALLOW], PATH_MAX);
	is_refused(bench, "\"other.example\" is not in the list of --allow", "the source refuses this end");
}

static void its_authority_is_another_one(void **state)
{
	struct bench *bench = *state;

	bench->host = NULL;
	use_dir(bench, 0, "ca/node");
	use_dir(bench, 1, "alien/node");
	is_refused(bench, "no authority that is trusted here", "no authority that is trusted here");
}

static void not_in_the_list(void **state)
{
	struct bench *bench = *state;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	allow(bench, "on\none-more\n*\n# one\n");
	is_refused(bench, "the destination refuses this end", "\"one\" is not in the list of --allow");
}

static void without_tls(void **state)
{
	struct bench *bench = *state;
	struct pollfd pfd = { .fd = bench->conn[1].fd, .events = POLLIN };

	assert_int_equal(conn_write(&bench->conn[0], "SVMC", 4, WAIT_MS, &bench->err[0]), 0);
	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_int_equal(tls_link_check_hello(pfd.fd, &bench->err[1]), -1);
	assert_non_null(strstr(bench->err[1].what, "speaks no TLS"));
}

static void a_handshake_that_hangs(void **state)
{
	struct bench *bench = *state;
	struct tls_link link;

	use_psk(bench, 1, "one");
	assert_int_equal(tls_link_start(&link, bench->conn[1].fd, true, NULL, &bench->keys[1],
					&bench->err[1]), 0);
	assert_int_equal(tls_link_finish(&link, 100, &bench->conn[1], &bench->peer[1],
					 &bench->err[1]), -1);
	assert_non_null(strstr(bench->err[1].what, "did not end in time"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Bytes that were written before the end come, and then the end. */
static void the_end_comes_last(void **state)
{
	struct bench *bench = *state;
	char word[4], more;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	assert_int_equal(conn_write(&bench->conn[0], "last", 4, WAIT_MS, &bench->err[0]), 0);
	conn_close(&bench->conn[0]);
	assert_int_equal(conn_read(&bench->conn[1], word, 4, WAIT_MS, &bench->err[1]), 0);
	assert_memory_equal(word, "last", 4);
	assert_int_equal(conn_read_some(&bench->conn[1], &more, 1, WAIT_MS, &bench->err[1]), 0);
}

/* The network cuts the connection: both ends hear of it at once. */
static void a_cut_reaches_both(void **state)
{
	struct bench *bench = *state;
	char more;

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	shutdown(bench->conn[0].tcp, SHUT_RDWR);
	for (int i = 0; i < 2; i++)
		assert_true(conn_read_some(&bench->conn[i], &more, 1, WAIT_MS, &bench->err[i]) <= 0);
}

/* Somebody on the path adds a byte: the process says so, and nothing of its text is raw. */
static void a_broken_record_is_told(void **state)
{
	struct bench *bench = *state;
	static const char record[] = "\x17\x03\x03\x00\x20 0123456789012345678901234567890123456789";
	char word[4];

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	assert_int_equal(send(bench->conn[0].tcp, record, sizeof(record) - 1, MSG_NOSIGNAL), sizeof(record) - 1);
	assert_int_equal(conn_read(&bench->conn[1], word, 4, WAIT_MS, &bench->err[1]), -1);
	/* not CODE_PEER: a COMMIT that came before would not count */
	assert_int_equal(bench->err[1].code, CODE_NETWORK);
	assert_non_null(strstr(bench->err[1].what, "the encryption of a connection is broken"));
}

static void a_note_is_made_safe(void **state)
{
	struct conn conn = CONN_NONE;
	struct error err = { 0 };
	int pair[2];

	assert_int_equal(conn_lost(&conn, "it closed", &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	assert_string_equal(err.what, "link lost: it closed");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	conn.note = pair[0];
	assert_int_equal(send(pair[1], "\033[31m", 5, 0), 5);
	memset(&err, 0, sizeof(err));
	assert_int_equal(conn_lost(&conn, "it closed", &err), -1);
	assert_null(strchr(err.what, 033));
	conn_drop(&conn);
	close(pair[1]);
}

static void a_blocked_writer_returns(void **state)
{
	struct bench *bench = *state;
	static char bytes[1 << 16];

	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	while (!conn_write(&bench->conn[0], bytes, sizeof(bytes), 300, &bench->err[0]))
		;
	assert_non_null(strstr(bench->err[0].what, "link lost"));
	conn_shutdown(&bench->conn[1]);
}

static void a_key_wears_out(void **state)
{
	struct bench *bench = *state;

	setenv("MIGRATE_HELPER_TLS_RECORDS", "80", true);
	use_psk(bench, 0, "one");
	use_psk(bench, 1, "one");
	assert_true(shake_hands(bench));
	/* some 200 records; GnuTLS takes a few new keys a second */
	passes_big(bench);
	passes(bench, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_shared_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(certificates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_authority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_connection_of_the_callers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_name_may_send, set_up, tear_down),
		cmocka_unit_test(two_machines_are_not_one),
		cmocka_unit_test_setup_teardown(its_list_has_another_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_authority_is_another_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_in_the_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_tls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_handshake_that_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_comes_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cut_reaches_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_broken_record_is_told, set_up, tear_down),
		cmocka_unit_test(a_note_is_made_safe),
		cmocka_unit_test_setup_teardown(a_blocked_writer_returns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_wears_out, set_up, tear_down),
	};

	/* this program, executed once more, is the process of a connection */
	if (argc > 1 && !strcmp(argv[1], TLS_PROCESS_VERB))
		return tls_process_main(argc - 1, argv + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
