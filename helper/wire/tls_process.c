// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "base/tls.h"
#include "os/fds.h"
#include "wire/ktls.h"
#include "wire/ktls_keys.h"
#include "wire/tls_peer.h"
#include "wire/tls_process.h"
#include "wire/tls_proof.h"
#include "wire/tls_relay.h"
#include "wire/tls_sandbox.h"

#define WORD_VERSION	1

/*
 * struct word - the first record of each end. A server has looked at the client's certificate before it sends it:
 * in TLS 1.3 the client would not hear of a refusal otherwise, but as a connection that ends.
 */
struct word {
	uint8_t version;	/* WORD_VERSION */
	uint8_t in_kernel;	/* 1: this end's kernel will encrypt, and takes no second key */
};

static const struct tls_words client_words = {
	.other = "the destination",
	.alert_hint = "do both ends have the same pre-shared key, or certificates of the same authority? The log of serve has more",
	.hangup_hint = "does \"serve\" say --insecure there, or another program listen?",
	.authority_hint = "both ends need certificates of one authority: look at " TLS_CA_NAME,
	.name = "it is for another name than that of --to",
	.name_hint = "give --to a name or address that its certificate has, or make it another certificate with \"keygen --host\"",
};

/* The words of a client whose connection another program has opened */
static const struct tls_words given_words = {
	.other = "the destination",
	.alert_hint = "do both ends have the same pre-shared key, or certificates of the same authority? What serve says has more",
	.hangup_hint = "does \"serve\" say --insecure-fds there, or has a UNIX socket and no --tls-psk or --tls-dir?",
	.authority_hint = "both ends need certificates of one authority: look at " TLS_CA_NAME,
};

static const struct tls_words server_words = {
	.other = "the source",
	.certificate_hint = "make one with \"migrate-helper keygen --ca\"",
	.alert_hint = "do both ends have the same pre-shared key, or certificates of the same authority?",
	.authority_hint = "both ends need certificates of one authority: look at " TLS_CA_NAME,
};

/** struct process - @host: NULL for a server, and where the caller opened the connection */
struct process {
	bool server, kernel, other_in_kernel;
	const char *host;
	const struct tls_words *words;
	struct tls_proof proof;
	struct tls *tls;
	struct tls_peer peer;
};

static int parse(struct process *process, int argc, char **argv)
{
	if (argc != 5)
		return -1;
	process->server = !strcmp(argv[1], "serve");
	process->host = strcmp(argv[1], "connect") ? NULL : argv[4];
	process->words = process->server ? &server_words : process->host ? &client_words : &given_words;
	process->proof.server = process->server;
	process->proof.kind = !strcmp(argv[2], "psk") ? TLS_PSK : TLS_CERTIFICATE;
	process->kernel = !strcmp(argv[3], "kernel");
	return 0;
}

static int load(struct process *process, struct error *err)
{
	int fds[TLS_FILES];
	int ret;

	for (int i = 0; i < TLS_FILES; i++)
		fds[i] = fcntl(TLS_PROCESS_KEYS + i, F_GETFD) < 0 ? -1 : TLS_PROCESS_KEYS + i;
	ret = tls_proof_load(&process->proof, fds, err);
	tls_keys_close(fds);
	return ret;
}

/* Each end says its word, and waits for the other's. */
static int exchange(struct process *process, struct error *err)
{
	const struct word mine = { .version = WORD_VERSION, .in_kernel = process->kernel };
	struct tls *tls = process->tls;
	struct word other = { 0 };
	ssize_t n = sizeof(other);

	gnutls_record_set_timeout(tls_session(tls), TLS_HANDSHAKE_MS);
	if (process->server && tls_write(tls, &mine, sizeof(mine)))
		n = -1;
	if (n > 0)
		n = tls_read(tls, &other, sizeof(other));
	if (n < 0)
		return error_set(err, CODE_PEER, process->words->alert_hint, "%s refuses this end: %s",
				 process->words->other, tls_why(tls) ?: "it hung up");
	if (n != sizeof(other) || other.version != WORD_VERSION || other.in_kernel > 1)
		return error_set(err, CODE_PEER, "use the same version on both sides",
				 "%s begins with words that this version does not know", process->words->other);
	process->other_in_kernel = other.in_kernel;
	if (!process->server && tls_write(tls, &mine, sizeof(mine)))
		return error_set(err, CODE_NETWORK, NULL, "link lost in the TLS handshake");
	gnutls_record_set_timeout(tls_session(tls), 0);
	return 0;
}

static int shake_hands(struct process *process, struct error *err)
{
	unsigned int flags = GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_REKEY |
			     (process->server ? GNUTLS_SERVER : GNUTLS_CLIENT);

	process->tls = tls_new(TLS_PROCESS_TCP, flags, process->words, err);
	if (!process->tls || tls_proof_set(&process->proof, process->tls, err) ||
	    tls_shake_hands(process->tls, TLS_HANDSHAKE_MS, err) ||
	    tls_proof_check(&process->proof, process->tls, process->host, process->peer.name,
			    sizeof(process->peer.name), process->peer.words, err) ||
	    exchange(process, err))
		return -1;
	/* a kernel takes no second key: with a program at the other end the link would end at 2^24 records */
	if (process->kernel && process->other_in_kernel) {
		int ret = ktls_keys_give(TLS_PROCESS_TCP, tls_session(process->tls), err);

		if (ret < 0)
			return -1;
		process->peer.in_kernel = !ret;
	}
	return 0;
}

static int begin(struct process *process, struct error *err)
{
	/* before the rights go: only an administrator makes the kernel load its module */
	process->kernel = process->kernel && ktls_keys_attach(TLS_PROCESS_TCP);
	if (load(process, err) || tls_sandbox_enter(err))
		return -1;
	return shake_hands(process, err);
}

static void ignore_signals(void)
{
	/* the terminal's and systemd's: the program of this connection has last words to say */
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
}

int tls_process_main(int argc, char **argv)
{
	static struct process process;
	struct error err = { 0 };
	int keep[TLS_PROCESS_FDS - TLS_PROCESS_SOCK], null;
	sigset_t none;

	for (int i = 0; i < TLS_PROCESS_FDS - TLS_PROCESS_SOCK; i++)
		keep[i] = TLS_PROCESS_SOCK + i;
	fds_close_others(keep, sizeof(keep) / sizeof(*keep));
	/* of the parent of this program: results and a log are written there, and nothing makes this process's text safe */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(CODE_INTERNAL);
	if (null > STDERR_FILENO)
		close(null);
	prctl(PR_SET_NAME, "migrate-tls");
	ignore_signals();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (parse(&process, argc, argv))
		_exit(CODE_USAGE);
	begin(&process, &process.peer.err);
	if (fdpass_send(TLS_PROCESS_SOCK, &process.peer, sizeof(process.peer), NULL, 0) ||
	    error_is_set(&process.peer.err) || process.peer.in_kernel)
		_exit(0);
	if (tls_relay_run(process.tls, TLS_PROCESS_PAIR, TLS_PROCESS_TCP, tls_max_records(),
			  !(process.kernel && process.other_in_kernel), &err))
		send(TLS_PROCESS_SOCK, err.what, strlen(err.what), MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(0);
}
