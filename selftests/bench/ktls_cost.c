// SPDX-License-Identifier: GPL-2.0
/*
 * What TLS costs the sender of another task's 4 KiB pages, in CPU, with a receiver that discards what comes: SEND over a
 * socket for which the kernel makes TLS (kTLS), and process_vm_readv() with GnuTLS; and SEND without TLS. Both use the
 * cipher that migrate-helper prefers.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef SOL_TLS
#define SOL_TLS		282
#endif

/* A user-mode kernel counts CPU by ticks. */
#define TICK_S		0.01
#define PRIORITY	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+ECDHE-PSK"

enum { WAY_PLAIN, WAY_KTLS, WAY_GNUTLS, WAYS };

static struct target target;
static struct svm svm;
static unsigned long addr;
static char *data;
static gnutls_session_t sessions[2];
static double cpu[WAYS][BENCH_RUNS];

static void tls_session(int end, int fd)
{
	static const gnutls_datum_t key = { (void *)"0123456789abcdef", 16 };
	int flags[2] = { GNUTLS_CLIENT, GNUTLS_SERVER };
	gnutls_psk_client_credentials_t client;

	ksft_must(!gnutls_init(&sessions[end], flags[end] | GNUTLS_NO_TICKETS));
	ksft_must(!gnutls_priority_set_direct(sessions[end], PRIORITY, NULL));
	gnutls_transport_set_int(sessions[end], fd);
	if (end)
		return;
	ksft_must(!gnutls_psk_allocate_client_credentials(&client));
	ksft_must(!gnutls_psk_set_client_credentials(client, "bench", &key,
						     GNUTLS_PSK_KEY_RAW));
	ksft_must(!gnutls_credentials_set(sessions[end], GNUTLS_CRD_PSK, client));
}

static int tls_key(gnutls_session_t session, const char *user, gnutls_datum_t *key)
{
	key->data = gnutls_malloc(16);
	key->size = 16;
	memcpy(key->data, "0123456789abcdef", 16);
	return 0;
}

static void *tls_server(void *arg)
{
	gnutls_psk_server_credentials_t server;

	ksft_must(!gnutls_psk_allocate_server_credentials(&server));
	gnutls_psk_set_server_credentials_function(server, tls_key);
	ksft_must(!gnutls_credentials_set(sessions[1], GNUTLS_CRD_PSK, server));
	ksft_must(!gnutls_handshake(sessions[1]));
	return NULL;
}

/* A session whose other end is then left out: the reader decrypts nothing. */
static void tls_begin(void)
{
	pthread_t thread;
	int pair[2];

	ksft_must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	tls_session(0, pair[0]);
	tls_session(1, pair[1]);
	ksft_must(!pthread_create(&thread, NULL, tls_server, NULL));
	ksft_must(!gnutls_handshake(sessions[0]));
	pthread_join(thread, NULL);
}

/* Nobody decrypts: keys of zeros will do. */
static void ktls_begin(int sock)
{
	struct tls12_crypto_info_aes_gcm_128 crypto = {
		.info = { TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128 },
	};

	if (setsockopt(sock, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
	    setsockopt(sock, SOL_TLS, TLS_TX, &crypto, sizeof(crypto)))
		ksft_exit_fail_msg("kTLS: %s\n", strerror(errno));
}

static void send_gnutls(int sock)
{
	unsigned long at;
	ssize_t n, sent;

	gnutls_transport_set_int(sessions[0], sock);
	for (at = addr; at < addr + BENCH_BYTES; at += BENCH_CHUNK) {
		struct iovec local = { data, BENCH_CHUNK };
		struct iovec remote = { (void *)at, BENCH_CHUNK };

		ksft_must(process_vm_readv(target.pid, &local, 1, &remote, 1,
					   0) == BENCH_CHUNK);
		for (sent = 0; sent < (ssize_t)BENCH_CHUNK; sent += n) {
			n = gnutls_record_send(sessions[0], data + sent,
					       BENCH_CHUNK - sent);
			ksft_must(n > 0);
		}
	}
}

static double send_once(int way)
{
	struct bench_reader r;
	__u64 used;

	bench_reader_start(&r, true);
	if (way == WAY_KTLS)
		ktls_begin(r.sock);
	used = sys_thread_cpu_ns();
	if (way == WAY_GNUTLS)
		send_gnutls(r.sock);
	else
		bench_send(svm.fd, r.sock, addr, BENCH_BYTES);
	used = sys_thread_cpu_ns() - used;
	bench_reader_finish(&r);
	return used / 1e9;
}

static void report(const char *name, int way, int other)
{
	double ratios[BENCH_RUNS], ours[BENCH_RUNS], base[BENCH_RUNS];
	int i;

	for (i = 0; i < BENCH_RUNS; i++) {
		ours[i] = cpu[way][i];
		base[i] = cpu[other][i] ?: TICK_S;
		ratios[i] = ours[i] / base[i];
	}
	bench_spread(name, ratios);
	bench_figure(name, bench_median(ours) / bench_median(base), "x");
}

int main(void)
{
	static const char *const names[WAYS] = {
		[WAY_PLAIN] = "SEND, no TLS: CPU seconds",
		[WAY_KTLS] = "SEND over kTLS: CPU seconds",
		[WAY_GNUTLS] = "process_vm_readv + GnuTLS: CPU seconds",
	};
	int way, run;

	data = malloc(BENCH_CHUNK);
	ksft_must(data);
	addr = bench_target(&target);
	svm_open(&svm, target.pid, false);
	tls_begin();
	for (way = 0; way < WAYS; way++)
		send_once(way); /* to warm up */
	for (run = 0; run < BENCH_RUNS; run++) {
		for (way = 0; way < WAYS; way++)
			cpu[way][run] = send_once(way);
	}
	printf("# %-44s %8s %8s %8s\n", "", "least", "median", "most");
	report("ktls_cpu_ratio", WAY_GNUTLS, WAY_KTLS);
	report("ktls_vs_plain", WAY_KTLS, WAY_PLAIN);
	for (way = 0; way < WAYS; way++)
		bench_spread(names[way], cpu[way]);
	svm_close(&svm);
	target_stop(&target);
	return 0;
}
