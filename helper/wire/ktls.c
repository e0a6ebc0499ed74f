// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "wire/ktls.h"

#ifndef SOL_TLS
#define SOL_TLS		282
#endif

#define MAX_RECORDS	(1UL << 24)	/* AES-GCM stays safe for 2^24.5 (RFC 8446, 5.5) */
#define RECORD_ALERT	21
#define RECORD_DATA	23
#define ALERT_WARNING	1
#define CLOSE_NOTIFY	0

/** union crypto - each cipher's form of what the kernel takes */
union crypto {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

static ssize_t other_record(unsigned char type, const unsigned char *record, ssize_t n)
{
	if (type == RECORD_ALERT && n == 2 && record[1] == CLOSE_NOTIFY)
		return 0;
	errno = EPROTO;
	return -1;
}

ssize_t ktls_recv(int fd, void *buf, size_t bytes, int flags)
{
	union {
		char buf[CMSG_SPACE(1)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = bytes };
	struct msghdr head = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(fd, &head, flags);
	struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&head) : NULL;

	if (cmsg && cmsg->cmsg_level == SOL_TLS && cmsg->cmsg_type == TLS_GET_RECORD_TYPE &&
	    *CMSG_DATA(cmsg) != RECORD_DATA)
		return other_record(*CMSG_DATA(cmsg), buf, n);
	return n;
}

void ktls_close_notify(int fd)
{
	static const unsigned char alert[] = { ALERT_WARNING, CLOSE_NOTIFY };
	union {
		char buf[CMSG_SPACE(1)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)alert, .iov_len = sizeof(alert) };
	struct msghdr head = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = &control.align;

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = RECORD_ALERT;
	sendmsg(fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Records encrypted with the present key; -1 with errno */
static int64_t sent_records(int fd)
{
	union crypto crypto;
	socklen_t bytes = sizeof(crypto);
	const unsigned char *seq;
	uint64_t records;

	/* the kernel wants the exact size of the cipher's form, and tells the cipher for a shorter one */
	bytes = sizeof(crypto.info);
	if (getsockopt(fd, SOL_TLS, TLS_TX, &crypto, &bytes))
		return -1;
	switch (crypto.info.cipher_type) {
	case TLS_CIPHER_AES_GCM_128:
		bytes = sizeof(crypto.gcm_128);
		seq = crypto.gcm_128.rec_seq;
		break;
	case TLS_CIPHER_AES_GCM_256:
		bytes = sizeof(crypto.gcm_256);
		seq = crypto.gcm_256.rec_seq;
		break;
	default:
		bytes = sizeof(crypto.chacha);
		seq = crypto.chacha.rec_seq;
	}
	if (getsockopt(fd, SOL_TLS, TLS_TX, &crypto, &bytes))
		return -1;
	memcpy(&records, seq, sizeof(records));
	explicit_bzero(&crypto, sizeof(crypto));
	return be64toh(records);
}

uint64_t tls_max_records(void)
{
	const char *test = getenv("MIGRATE_HELPER_TLS_RECORDS");

	return test && atol(test) > 0 ? (uint64_t)atol(test) : MAX_RECORDS;
}

int ktls_check_key(int fd, uint64_t records, struct error *err)
{
	int64_t sent = sent_records(fd);

	if (sent < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot tell how much a key of TLS has encrypted");
	if (sent + records <= tls_max_records())
		return 0;
	return error_set(err, CODE_NETWORK, "say --no-ktls at both ends: their programs take new keys as they go",
			 "the kernel takes no second key of TLS, and this memory is more than one may encrypt: %lu of %lu records are sent, and %lu are to come",
			 (unsigned long)sent, (unsigned long)tls_max_records(), (unsigned long)records);
}
