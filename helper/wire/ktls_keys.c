// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include "wire/ktls_keys.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef SOL_TLS
#define SOL_TLS		282
#endif

#define SEQ_BYTES	8

/** union crypto - each cipher's form of what the kernel takes */
union crypto {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

bool ktls_keys_attach(int fd)
{
	return !setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
}

/** struct form - where a cipher's parts go, in its form of union crypto */
struct form {
	gnutls_cipher_algorithm_t cipher;
	uint16_t type;
	socklen_t bytes;
	size_t iv, iv_bytes, key, key_bytes, salt, salt_bytes, seq;
};

#define FORM(number, name, form_of)						\
	{									\
		.cipher = (number), .type = (name), .bytes = sizeof(struct form_of), \
		.iv = offsetof(struct form_of, iv), .iv_bytes = sizeof(((struct form_of *)0)->iv), \
		.key = offsetof(struct form_of, key), .key_bytes = sizeof(((struct form_of *)0)->key), \
		.salt = offsetof(struct form_of, salt), .salt_bytes = sizeof(((struct form_of *)0)->salt), \
		.seq = offsetof(struct form_of, rec_seq),				\
	}

static const struct form forms[] = {
	FORM(GNUTLS_CIPHER_AES_128_GCM, TLS_CIPHER_AES_GCM_128, tls12_crypto_info_aes_gcm_128),
	FORM(GNUTLS_CIPHER_AES_256_GCM, TLS_CIPHER_AES_GCM_256, tls12_crypto_info_aes_gcm_256),
	FORM(GNUTLS_CIPHER_CHACHA20_POLY1305, TLS_CIPHER_CHACHA20_POLY1305,
	     tls12_crypto_info_chacha20_poly1305),
};

static const struct form *find_form(gnutls_session_t session)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (forms[i].cipher == gnutls_cipher_get(session))
			return &forms[i];
	return NULL;
}

/*
 * The first bytes of GnuTLS's IV are the kernel's salt, but for ChaCha20, which has none.
 * Return: bytes of @crypto; 0: the kernel has no such cipher
 */
static socklen_t take_key(gnutls_session_t session, unsigned int read, union crypto *crypto)
{
	const struct form *form = find_form(session);
	char *to = (char *)crypto;
	gnutls_datum_t mac, iv, key;
	unsigned char seq[SEQ_BYTES];

	if (!form || gnutls_protocol_get_version(session) != GNUTLS_TLS1_3 ||
	    gnutls_record_get_state(session, read, &mac, &iv, &key, seq))
		return 0;
	if (key.size != form->key_bytes || iv.size != form->salt_bytes + form->iv_bytes)
		return 0;
	crypto->info.version = TLS_1_3_VERSION;
	crypto->info.cipher_type = form->type;
	memcpy(to + form->salt, iv.data, form->salt_bytes);
	memcpy(to + form->iv, iv.data + form->salt_bytes, form->iv_bytes);
	memcpy(to + form->key, key.data, form->key_bytes);
	memcpy(to + form->seq, seq, SEQ_BYTES);
	return form->bytes;
}

int ktls_keys_give(int fd, gnutls_session_t session, struct error *err)
{
	union crypto tx = { 0 }, rx = { 0 };
	socklen_t tx_bytes = take_key(session, 0, &tx), rx_bytes = take_key(session, 1, &rx);
	int ret = 1;

	if (tx_bytes && rx_bytes && !setsockopt(fd, SOL_TLS, TLS_TX, &tx, tx_bytes)) {
		ret = 0;
		if (setsockopt(fd, SOL_TLS, TLS_RX, &rx, rx_bytes))
			ret = error_errno(err, CODE_INTERNAL, "--no-ktls does without the kernel",
					  "the kernel encrypts, but cannot decrypt");
	}
	explicit_bzero(&tx, sizeof(tx));
	explicit_bzero(&rx, sizeof(rx));
	return ret;
}
