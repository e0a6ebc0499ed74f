// SPDX-License-Identifier: GPL-2.0
/*
 * SEND to kTLS. Ciphers that read a page once tolerate writes of the task meanwhile: the bytes
 * decrypt, and have only content that the task has written. SEND refuses ciphers that read a page
 * twice.
 */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef SOL_TLS
#define SOL_TLS		282
#endif
#ifndef TLS_TX_ZEROCOPY_RO
#define TLS_TX_ZEROCOPY_RO	3
#endif

#define PAGES	64
#define ROUNDS	20
/* The task writes with these in turn, after seed 1. */
#define SEEDS	8
#define COOKIE	3

struct cipher {
	__u16 type;
	const char *name;
	size_t len;
	bool allowed;
};

static const struct cipher ciphers[] = {
	{ TLS_CIPHER_AES_GCM_128, "AES-GCM-128",
	  sizeof(struct tls12_crypto_info_aes_gcm_128), true },
	{ TLS_CIPHER_AES_GCM_256, "AES-GCM-256",
	  sizeof(struct tls12_crypto_info_aes_gcm_256), true },
	{ TLS_CIPHER_CHACHA20_POLY1305, "ChaCha20-Poly1305",
	  sizeof(struct tls12_crypto_info_chacha20_poly1305), true },
	{ TLS_CIPHER_AES_CCM_128, "AES-CCM",
	  sizeof(struct tls12_crypto_info_aes_ccm_128), false },
};

static struct target target;
static struct svm svm;
static unsigned long mapped;

/* What the target writes with, in memory that it shares with us. */
struct scribble {
	unsigned long seed;
	bool stop;
	bool stopped;
};

static struct scribble *scribble;

/* Writes all the time: in the target. */
static void *ktls_scribbler(void *arg)
{
	unsigned long addr = (unsigned long)arg, pass;

	for (pass = 0; !READ_ONCE(scribble->stop); pass++) {
		WRITE_ONCE(scribble->seed, 2 + pass % SEEDS);
		pattern_fill((void *)addr, addr, PAGES * PAGE_SIZE,
			     scribble->seed);
	}
	WRITE_ONCE(scribble->stopped, true);
	return NULL;
}

static long ktls_scribble_fn(const unsigned long *args)
{
	pthread_t thread;

	scribble = (void *)args[1];
	return pthread_create(&thread, NULL, ktls_scribbler, (void *)args[0]);
}

static void ktls_scribble_start(void)
{
	scribble = target.shared;
	*scribble = (struct scribble){};
	ksft_must(!target_do(&target, ktls_scribble_fn, mapped,
			     (unsigned long)scribble));
	while (!READ_ONCE(scribble->seed))
		sys_sleep_us(1000);
}

/* Return: the seed that is in all of the memory now */
static unsigned long ktls_scribble_stop(void)
{
	WRITE_ONCE(scribble->stop, true);
	while (!READ_ONCE(scribble->stopped))
		sys_sleep_us(1000);
	return scribble->seed;
}

/* One end, one direction; keys of zeros will do. Return: 0 or -errno */
static int ktls_set(int fd, int direction, const struct cipher *cipher)
{
	union {
		struct tls_crypto_info info;
		char bytes[128];
	} crypto = {};

	crypto.info.version = TLS_1_3_VERSION;
	crypto.info.cipher_type = cipher->type;
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) &&
	    errno != EEXIST)
		return -errno;
	return setsockopt(fd, SOL_TLS, direction, &crypto, cipher->len) ?
	       -errno : 0;
}

struct judged {
	unsigned long words;
	unsigned long wrong;
	unsigned long young;
};

/* Each word must be what the task wrote there at some time. */
static void ktls_judge_page(struct mirror_page *page, void *ctx)
{
	const unsigned long *words = (void *)page->data;
	struct judged *judged = ctx;
	unsigned long i, seed, addr;

	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		addr = page->addr + i * sizeof(*words);
		for (seed = 1 + SEEDS; seed; seed--)
			if (words[i] == pattern_word(addr, seed))
				break;
		judged->words++;
		judged->wrong += !seed;
		judged->young += seed > 1;
	}
}

static void ktls_send_round(struct receiver *r, struct svm_send *send)
{
	struct splice_vm_run run = { mapped, PAGES, 0 };

	if (svm_send_all(&svm, send, &run, 1) ||
	    !receiver_wait(r, send->bytes))
		r->broken = r->broken ?: "SEND failed";
}

static void ktls_test_cipher(const struct cipher *cipher, int pair[2])
{
	struct svm_send send = { .sock = pair[0], .cookie = COOKIE };
	struct mirror m;
	struct receiver r = { .fd = pair[1], .mirror = &m, .cookie = COOKIE };
	struct judged judged = {};
	unsigned long last;
	int i;

	mirror_init(&m);
	target_fill(&target, mapped, PAGES * PAGE_SIZE, 1);
	receiver_start(&r);
	ktls_scribble_start();
	for (i = 0; i < ROUNDS && !r.broken; i++)
		ktls_send_round(&r, &send);
	ksft_test_result(!r.broken, "%s: what arrives decrypts while the task writes: %s\n",
			 cipher->name, r.broken ?: "whole");
	mirror_for_each(&m, ktls_judge_page, &judged);
	ksft_test_result(judged.words == PAGES * PAGE_SIZE / 8 && !judged.wrong,
			 "%s: %lu of %lu words were never there\n",
			 cipher->name, judged.wrong, judged.words);
	ksft_test_result(judged.young, "%s: control: %lu words were written meanwhile\n",
			 cipher->name, judged.young);
	last = ktls_scribble_stop();
	ktls_send_round(&r, &send);
	shutdown(pair[0], SHUT_WR);
	receiver_join(&r);
	ksft_test_result(!r.broken && mirror_is_pattern(&m, mapped, PAGES, last),
			 "%s: and all of it in the end\n", cipher->name);
	svm_runs_free(&send.results);
	mirror_free(&m);
}

static void ktls_test_refused(const char *name, int sock)
{
	__u32 flags = 0;

	ksft_test_value(svm_send_one(svm.fd, sock, mapped, PAGES, &flags),
			-EOPNOTSUPP, "%s is refused\n", name);
}

/* A card would encrypt the live page again when it sends again. */
static void ktls_test_zerocopy(void)
{
	int pair[2], on = 1;

	net_tcp_pair(pair);
	ksft_must(!ktls_set(pair[0], TLS_TX, &ciphers[0]));
	if (setsockopt(pair[0], SOL_TLS, TLS_TX_ZEROCOPY_RO, &on, sizeof(on)))
		ksft_test_result(false, "TLS_TX_ZEROCOPY_RO: errno %d\n", errno);
	else
		ktls_test_refused("TLS_TX_ZEROCOPY_RO", pair[0]);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	int pair[2], ret;
	size_t i;

	ksft_print_header();
	sys_modprobe("tls");
	target_start(&target);
	mapped = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, PAGES * PAGE_SIZE, 1);
	svm_open(&svm, target.pid, false);
	for (i = 0; i < ARRAY_SIZE(ciphers); i++) {
		net_tcp_pair(pair);
		ret = ktls_set(pair[0], TLS_TX, &ciphers[i]);
		if (!ret && ciphers[i].allowed)
			ret = ktls_set(pair[1], TLS_RX, &ciphers[i]);
		ksft_test_value(ret, 0, "this guest has kTLS with %s\n",
				ciphers[i].name);
		if (!ret && ciphers[i].allowed)
			ktls_test_cipher(&ciphers[i], pair);
		else if (!ret)
			ktls_test_refused(ciphers[i].name, pair[0]);
		close(pair[0]);
		close(pair[1]);
	}
	ktls_test_zerocopy();
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
