// SPDX-License-Identifier: GPL-2.0
/* TLS of CRIU's page connections: who is let in, who is not and why, and what passes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/socket.h>
#include "criu/page_stream.h"
#include "tests/certificates.h"
#include "tests/test_dir.h"

#define WAIT_MS		20000
#define HERE		"127.0.0.1"
#define BIG		(1 << 20)

/** struct bench - certificates, and both ends of a connection; the client is a thread */
struct bench {
	struct test_dir dir;
	char paths[6][80];
	int fds[2];
	struct tls_files server, client;
	const char *server_name, *client_name;
	struct tls *client_tls;
	struct error err, client_err;
	void (*client_talk)(struct bench *bench);
	pthread_t thread;
};

static const char *path_of(struct bench *bench, size_t i, const char *file)
{
	snprintf(bench->paths[i], sizeof(bench->paths[i]), "%s/%s", bench->dir.path, file);
	return bench->paths[i];
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct authority ca, stranger;

	*state = bench;
	dir_make(&bench->dir);
	ca = authority_make(bench->dir.fd, "ca.pem");
	stranger = authority_make(bench->dir.fd, "stranger.pem");
	authority_sign(&ca, bench->dir.fd, "cert.pem", "key.pem", HERE, 2, 0);
	authority_sign(&ca, bench->dir.fd, "old.pem", "old-key.pem", HERE, 3, 2 * CERT_YEAR);
	authority_sign(&ca, bench->dir.fd, "other.pem", "other-key.pem", "other.example", 4, 0);
	authority_sign(&stranger, bench->dir.fd, "alien.pem", "alien-key.pem", HERE, 5, 0);
	authority_revoke(&ca, bench->dir.fd, "crl.pem", 4);
	authority_free(&ca);
	authority_free(&stranger);
	bench->server = (struct tls_files){
		.cacert = path_of(bench, 0, "ca.pem"), .cert = path_of(bench, 1, "cert.pem"),
		.key = path_of(bench, 2, "key.pem"),
	};
	bench->client = bench->server;
	bench->server_name = bench->client_name = HERE;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bench->fds);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 2; i++)
		if (bench->fds[i] >= 0)
			close(bench->fds[i]);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static void client_shows(struct bench *bench, const char *cert, const char *key)
{
	bench->client.cert = path_of(bench, 3, cert);
	bench->client.key = path_of(bench, 4, key);
}

static void *client_body(void *arg)
{
	struct bench *bench = arg;
	struct tls_trust *trust = tls_trust_load(&bench->client, &bench->client_err);

	if (trust)
		bench->client_tls = tls_connect(bench->fds[0], trust, bench->client_name, WAIT_MS,
						&bench->client_err);
	if (bench->client_tls && bench->client_talk)
		bench->client_talk(bench);
	tls_free(bench->client_tls);
	tls_trust_free(trust);
	return NULL;
}

/* The client ends with its thread; the server's session stays. */
static struct tls *shake_hands(struct bench *bench)
{
	struct tls_trust *trust = tls_trust_load(&bench->server, &bench->err);
	struct tls *tls;

	assert_non_null(trust);
	assert_int_equal(pthread_create(&bench->thread, NULL, client_body, bench), 0);
	tls = tls_accept(bench->fds[1], trust, bench->server_name, WAIT_MS, &bench->err);
	if (!tls)
		shutdown(bench->fds[1], SHUT_RDWR);
	tls_trust_free(trust);
	return tls;
}

static void expect_refused(struct bench *bench, const char *words)
{
	assert_null(shake_hands(bench));
	pthread_join(bench->thread, NULL);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, words));
}

static void say_much(struct bench *bench)
{
	const struct page_stream stream = { .fd = bench->fds[0], .tls = bench->client_tls };
	uint8_t *bytes = malloc(BIG);
	char answer;

	for (size_t i = 0; i < BIG; i++)
		bytes[i] = i % 251;
	page_stream_write(&stream, bytes, BIG, false);
	free(bytes);
	if (page_stream_read(&stream, &answer, 1) == 1 && answer == 'y')
		tls_end(bench->client_tls, WAIT_MS);
}

static void tls_test_bytes_pass(void **state)
{
	struct bench *bench = *state;
	struct page_stream stream = { .fd = bench->fds[1] };
	uint8_t *bytes = malloc(BIG);

	bench->client_talk = say_much;
	stream.tls = shake_hands(bench);
	assert_non_null(stream.tls);
	assert_int_equal(page_stream_read(&stream, bytes, BIG), 1);
	for (size_t i = 0; i < BIG; i++)
		assert_int_equal(bytes[i], i % 251);
	assert_int_equal(page_stream_write(&stream, "y", 1, false), 0);
	/* the client has said that it ends: no loss */
	assert_int_equal(page_stream_read(&stream, bytes, 1), 0);
	tls_end(stream.tls, 0);
	pthread_join(bench->thread, NULL);
	assert_false(error_is_set(&bench->client_err));
	tls_free(stream.tls);
	free(bytes);
}

/* What passes is not what was said. */
static void tls_test_no_plain_bytes(void **state)
{
	static const char secret[] = "nobody shall read this";
	struct bench *bench = *state;
	struct tls *tls = shake_hands(bench);
	char seen[4096];
	ssize_t nr;

	assert_non_null(tls);
	pthread_join(bench->thread, NULL);
	while (recv(bench->fds[0], seen, sizeof(seen), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(tls_write(tls, secret, sizeof(secret)), 0);
	nr = recv(bench->fds[0], seen, sizeof(seen), 0);
	assert_true(nr > (ssize_t)sizeof(secret));
	assert_null(memmem(seen, nr, "shall", 5));
	tls_free(tls);
}

static void hang_up(struct bench *bench)
{
	shutdown(bench->fds[0], SHUT_RDWR);
}

/* An end without TLS's own word may be an attacker's. */
static void tls_test_cut(void **state)
{
	struct bench *bench = *state;
	struct tls *tls;
	char byte;

	bench->client_talk = hang_up;
	tls = shake_hands(bench);
	assert_non_null(tls);
	assert_int_equal(tls_read(tls, &byte, 1), -1);
	assert_null(tls_why(tls));
	pthread_join(bench->thread, NULL);
	tls_free(tls);
}

static void say_plain(struct bench *bench)
{
	assert_int_equal(send(bench->fds[0], "\27\3\3\0\3abc", 8, 0), 8);
}

static void tls_test_damaged(void **state)
{
	struct bench *bench = *state;
	struct tls *tls;
	char byte;

	bench->client_talk = say_plain;
	tls = shake_hands(bench);
	assert_non_null(tls);
	assert_int_equal(tls_read(tls, &byte, 1), -1);
	assert_non_null(tls_why(tls));
	pthread_join(bench->thread, NULL);
	tls_free(tls);
}

static void tls_test_authority(void **state)
{
	struct bench *bench = *state;

	client_shows(bench, "alien.pem", "alien-key.pem");
	expect_refused(bench, "no authority that is trusted here");
	assert_non_null(strstr(bench->err.hint, "--tls-cacert"));
}

static void tls_test_expired(void **state)
{
	client_shows(*state, "old.pem", "old-key.pem");
	expect_refused(*state, "expired");
}

static void tls_test_name(void **state)
{
	struct bench *bench = *state;

	client_shows(bench, "other.pem", "other-key.pem");
	expect_refused(bench, "another name");
	assert_non_null(strstr(bench->err.hint, "--tls-no-cn-verify"));
}

static void tls_test_any_name(void **state)
{
	struct bench *bench = *state;
	struct tls *tls;

	client_shows(bench, "other.pem", "other-key.pem");
	bench->server_name = NULL;
	tls = shake_hands(bench);
	assert_non_null(tls);
	pthread_join(bench->thread, NULL);
	tls_free(tls);
}

static void tls_test_revoked(void **state)
{
	struct bench *bench = *state;

	client_shows(bench, "other.pem", "other-key.pem");
	bench->server_name = NULL;
	bench->server.cacrl = path_of(bench, 5, "crl.pem");
	expect_refused(bench, "revoked");
}

static void hear_refusal(struct bench *bench)
{
	char byte;

	if (tls_read(bench->client_tls, &byte, 1) < 0 && tls_why(bench->client_tls))
		error_set(&bench->client_err, CODE_PEER, NULL, "%s", tls_why(bench->client_tls));
}

/* The client hears why, although its own handshake is over before the server has looked. */
static void tls_test_client_hears(void **state)
{
	struct bench *bench = *state;

	client_shows(bench, "alien.pem", "alien-key.pem");
	bench->client_talk = hear_refusal;
	assert_null(shake_hands(bench));
	pthread_join(bench->thread, NULL);
	assert_non_null(strstr(bench->client_err.what, "Certificate is bad"));
}

static void tls_test_client_refuses(void **state)
{
	struct bench *bench = *state;
	struct tls *tls;

	bench->client.cacert = path_of(bench, 5, "stranger.pem");
	tls = shake_hands(bench);
	pthread_join(bench->thread, NULL);
	assert_int_equal(bench->client_err.code, CODE_PEER);
	assert_non_null(strstr(bench->client_err.what, "the certificate of the page server is refused"));
	tls_free(tls);
}

static void *bare_client(void *arg)
{
	struct bench *bench = arg;
	gnutls_certificate_credentials_t cred;
	gnutls_session_t session;
	char byte;

	gnutls_certificate_allocate_credentials(&cred);
	gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
	gnutls_set_default_priority(session);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, cred);
	gnutls_transport_set_int(session, bench->fds[0]);
	if (!gnutls_handshake(session))
		gnutls_record_recv(session, &byte, 1);
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(cred);
	return NULL;
}

/* A client that shows no certificate at all */
static void tls_test_no_certificate(void **state)
{
	struct bench *bench = *state;
	struct tls_trust *trust = tls_trust_load(&bench->server, &bench->err);

	assert_int_equal(pthread_create(&bench->thread, NULL, bare_client, bench), 0);
	assert_null(tls_accept(bench->fds[1], trust, NULL, WAIT_MS, &bench->err));
	shutdown(bench->fds[1], SHUT_RDWR);
	pthread_join(bench->thread, NULL);
	assert_non_null(strstr(bench->err.what, "has no certificate"));
	assert_non_null(strstr(bench->err.hint, "--tls-cert"));
	tls_trust_free(trust);
}

/* The client's end is the test's: it says @bytes, or hangs up without a word (@bytes NULL). */
static void accept_odd(struct bench *bench, const char *bytes, size_t nr, int timeout_ms)
{
	struct tls_trust *trust = tls_trust_load(&bench->server, &bench->err);

	if (nr)
		assert_int_equal(send(bench->fds[0], bytes, nr, 0), nr);
	if (!bytes)
		shutdown(bench->fds[0], SHUT_WR);
	assert_null(tls_accept(bench->fds[1], trust, NULL, timeout_ms, &bench->err));
	tls_trust_free(trust);
}

static void tls_test_silent(void **state)
{
	struct bench *bench = *state;

	accept_odd(bench, "", 0, 100);
	assert_non_null(strstr(bench->err.what, "said nothing"));
}

static void tls_test_silent_later(void **state)
{
	struct bench *bench = *state;

	/* the head of a record whose rest never comes */
	accept_odd(bench, "\26\3\1\2\0", 5, 200);
	assert_non_null(strstr(bench->err.what, "took more than"));
}

static void tls_test_plain(void **state)
{
	struct bench *bench = *state;

	accept_odd(bench, "\4\0\0\0\0\0\0\0", 8, WAIT_MS);
	assert_non_null(strstr(bench->err.what, "does not speak TLS"));
	assert_non_null(strstr(bench->err.hint, "--tls"));
}

static void tls_test_garbage(void **state)
{
	struct bench *bench = *state;

	accept_odd(bench, "\26\33[2Jgarbage \n\r", 14, WAIT_MS);
	assert_int_equal(bench->err.code, CODE_PEER);
	for (const char *c = bench->err.what; *c; c++)
		assert_true(*c >= ' ');
	assert_null(strstr(bench->err.what, "[2J"));
}

static void tls_test_gone(void **state)
{
	struct bench *bench = *state;

	accept_odd(bench, NULL, 0, WAIT_MS);
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

static void expect_unloaded(struct bench *bench, const char *words, const char *option)
{
	struct error err = { 0 };

	assert_null(tls_trust_load(&bench->server, &err));
	assert_int_equal(err.code, CODE_USAGE);
	assert_non_null(strstr(err.what, words));
	assert_non_null(strstr(err.hint, option));
}

static void tls_test_files(void **state)
{
	struct bench *bench = *state;
	struct tls_files good = bench->server;

	bench->server.cacert = "/none/ca.pem";
	expect_unloaded(bench, "/none/ca.pem", "--tls-cacert");
	bench->server.cacert = path_of(bench, 3, "key.pem");
	expect_unloaded(bench, "key.pem", "--tls-cacert");
	bench->server = good;
	bench->server.cacrl = "/none/crl.pem";
	expect_unloaded(bench, "/none/crl.pem", "--tls-cacrl");
	bench->server = good;
	bench->server.cert = "/none/cert.pem";
	expect_unloaded(bench, "/none/cert.pem", "--tls-cert");
	bench->server = good;
	bench->server.key = "/none/key.pem";
	expect_unloaded(bench, "/none/key.pem", "--tls-key");
	/* a key that is another certificate's */
	bench->server.key = path_of(bench, 3, "old-key.pem");
	expect_unloaded(bench, "old-key.pem", "--tls-key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tls_test_bytes_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_no_plain_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_authority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_expired, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_any_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_client_hears, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_client_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_no_certificate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_silent_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_test_files, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
