// SPDX-License-Identifier: GPL-2.0
/*
 * Which sockets pages may go to, and writing to them so that only a fatal signal
 * or a socket that fails ends a write half-way. TCP's own wait for room ends at
 * any signal; so each write is MSG_DONTWAIT, and the wait is ours.
 */
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/poll.h>
#include <linux/skmsg.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tls.h>

#include "compat/sendpages.h"
#include "sock.h"

#define SPLICE_VM_SOCK_FLAGS	(MSG_DONTWAIT | MSG_NOSIGNAL)

/* A socket may have room without waking its waiters: look again after this time. */
#define SPLICE_VM_SOCK_NAP	msecs_to_jiffies(20)

/*
 * With kTLS the page is encrypted into new memory in one pass, which stands a
 * page that changes meanwhile; CCM reads it twice and does not.
 */
static bool splice_vm_tls_is_allowed(struct sock *sk)
{
#if IS_ENABLED(CONFIG_TLS)
	struct tls_context *ctx = tls_get_ctx(sk);

	/* The device would encrypt the live page again when it sends again. */
	if (ctx->zerocopy_sendfile)
		return false;
	switch (ctx->crypto_send.info.cipher_type) {
	case 0:
	case TLS_CIPHER_AES_GCM_128:
	case TLS_CIPHER_AES_GCM_256:
	case TLS_CIPHER_CHACHA20_POLY1305:
		return true;
	}
#endif
	return false;
}

/* A ULP that comes later is seen before the next batch; this one goes to it. */
static bool splice_vm_tcp_is_allowed(struct sock *sk)
{
	const struct tcp_ulp_ops *ulp;
	bool allowed = true;

	if (!inet_csk_has_ulp(sk))
		return true;
	lock_sock(sk);
	ulp = inet_csk(sk)->icsk_ulp_ops;
	if (ulp)
		allowed = !strcmp(ulp->name, "tls") &&
			  splice_vm_tls_is_allowed(sk);
	release_sock(sk);
	return allowed;
}

/* A BPF program may hold back or redirect bytes that are copied, but not pages. */
static bool splice_vm_sock_has_psock(struct sock *sk)
{
	bool has;

	rcu_read_lock();
	has = sk_psock(sk);
	rcu_read_unlock();
	return has;
}

/* An allow-list: in-place crypto over spliced pages has been exploited elsewhere. */
static bool splice_vm_sock_is_allowed(struct sock *sk)
{
	if (sk->sk_type != SOCK_STREAM || splice_vm_sock_has_psock(sk))
		return false;
	switch (sk->sk_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
	case AF_INET6:
		return sk->sk_protocol == IPPROTO_TCP &&
		       splice_vm_tcp_is_allowed(sk);
	}
	return false;
}

/* Sockets wake sleepers that are interruptible; ours is only killable. */
static int splice_vm_sock_wake(wait_queue_entry_t *wait, unsigned int mode,
			       int sync, void *key)
{
	struct splice_vm_sock *ss;

	ss = container_of(wait, struct splice_vm_sock, wait);
	complete(&ss->woken);
	return 0;
}

/**
 * splice_vm_sock_get() - take a socket of the caller for writing
 * @ss: filled
 * @fd: descriptor of the caller
 *
 * Return: 0, -EBADF, -ENOTSOCK, -EOPNOTSUPP or -ENOTCONN
 */
int splice_vm_sock_get(struct splice_vm_sock *ss, int fd)
{
	int ret = 0;

	ss->file = fget(fd);
	if (!ss->file)
		return -EBADF;
	ss->sock = sock_from_file(ss->file);
	if (!ss->sock)
		ret = -ENOTSOCK;
	else if (!splice_vm_sock_is_allowed(ss->sock->sk))
		ret = -EOPNOTSUPP;
	/* One that listens is never writable. */
	else if (READ_ONCE(ss->sock->sk->sk_state) == TCP_LISTEN)
		ret = -ENOTCONN;
	if (ret) {
		fput(ss->file);
		return ret;
	}
	init_completion(&ss->woken);
	init_waitqueue_func_entry(&ss->wait, splice_vm_sock_wake);
	add_wait_queue(sk_sleep(ss->sock->sk), &ss->wait);
	return 0;
}

/**
 * splice_vm_sock_check() - may pages still go there
 * @ss: the socket; another task that shares it may have set a ULP while SEND waited
 *
 * Return: 0 or -EOPNOTSUPP
 */
int splice_vm_sock_check(struct splice_vm_sock *ss)
{
	return splice_vm_sock_is_allowed(ss->sock->sk) ? 0 : -EOPNOTSUPP;
}

void splice_vm_sock_put(struct splice_vm_sock *ss)
{
	remove_wait_queue(sk_sleep(ss->sock->sk), &ss->wait);
	fput(ss->file);
}

/**
 * splice_vm_sock_queued() - bytes that were written and are still held
 * @sk: held by the caller; may be closed
 *
 * The kernel's own overhead is in the number. AF_UNIX holds bytes until the peer has read them, TCP
 * until the peer has acknowledged them: a peer on this machine may hold the pages for longer.
 */
unsigned long splice_vm_sock_queued(struct sock *sk)
{
	return sk->sk_family == AF_UNIX ? sk_wmem_alloc_get(sk) :
					  READ_ONCE(sk->sk_wmem_queued);
}

/**
 * splice_vm_sock_is_dead() - would a write fail
 * @ss: the socket
 */
bool splice_vm_sock_is_dead(struct splice_vm_sock *ss)
{
	struct sock *sk = ss->sock->sk;

	/* Not EPOLLERR: that also stands for mere messages in the error queue. */
	return READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_state) == TCP_CLOSE ||
	       (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN);
}

/**
 * splice_vm_sock_is_ready() - would a write get on, or fail
 * @ss: the socket
 */
bool splice_vm_sock_is_ready(struct splice_vm_sock *ss)
{
	struct socket *sock = ss->sock;

	return splice_vm_sock_is_dead(ss) ||
	       (READ_ONCE(sock->ops)->poll(ss->file, sock, NULL) & EPOLLOUT);
}

/**
 * splice_vm_sock_nap() - until something happens at the socket, or for a while
 * @ss: the socket
 *
 * Return: 0, or -EINTR at a fatal signal
 */
int splice_vm_sock_nap(struct splice_vm_sock *ss)
{
	/* The socket has room and wakes no waiter: SEND waits for pages in flight (inflight.c). */
	unsigned long nap = splice_vm_sock_is_ready(ss) ? 1 : SPLICE_VM_SOCK_NAP;

	if (wait_for_completion_killable_timeout(&ss->woken, nap) < 0)
		return -EINTR;
	reinit_completion(&ss->woken);
	/* A peer that does not read must not keep the machine from being suspended. */
	try_to_freeze();
	return 0;
}

static int splice_vm_sock_wait(struct splice_vm_sock *ss)
{
	int ret = 0;

	while (!ret && !splice_vm_sock_is_ready(ss))
		ret = splice_vm_sock_nap(ss);
	return ret;
}

/*
 * After a write that got nowhere: wait and try again, or give up. A socket whose inner
 * mutex is contended says EAGAIN or EINTR while a signal is pending, though it
 * has room, and a lack of memory may pass: hence the nap where it seems ready.
 */
static int splice_vm_sock_again(struct splice_vm_sock *ss, int ret)
{
	switch (ret) {
	case -EAGAIN:
	case -EINTR:
	case -ERESTARTSYS:
	case -ENOMEM:
	case -ENOBUFS:
		break;
	default:
		return ret ?: -EPIPE;
	}
	if (splice_vm_sock_is_ready(ss)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		schedule_timeout_killable(1);
		try_to_freeze();
	}
	return splice_vm_sock_wait(ss);
}

/**
 * splice_vm_sock_write() - all of a buffer, by copy; more follows
 * @ss: the socket
 * @buf: kernel memory
 * @bytes: how many
 * @sent: bytes that went out are added
 *
 * Return: 0, -EINTR at a fatal signal, or what the socket says
 */
int splice_vm_sock_write(struct splice_vm_sock *ss, void *buf, size_t bytes,
			 u64 *sent)
{
	int ret;

	while (bytes) {
		struct msghdr msg = {
			.msg_flags = SPLICE_VM_SOCK_FLAGS | MSG_MORE,
		};
		struct kvec vec = { .iov_base = buf, .iov_len = bytes };

		ret = kernel_sendmsg(ss->sock, &msg, &vec, 1, bytes);
		if (ret > 0) {
			buf += ret;
			bytes -= ret;
			*sent += ret;
			continue;
		}
		ret = splice_vm_sock_again(ss, ret);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * splice_vm_sock_write_pages() - all of these pages, by reference
 * @ss: the socket
 * @bvec: pieces, each within one folio
 * @nr: how many
 * @bytes: in all
 * @sent: bytes that went out are added
 *
 * Return: as splice_vm_sock_write()
 */
int splice_vm_sock_write_pages(struct splice_vm_sock *ss, struct bio_vec *bvec,
			       unsigned int nr, size_t bytes, u64 *sent)
{
	size_t skip = 0;
	int ret;

	while (bytes) {
		ret = splice_vm_sendpages(ss->sock, bvec, nr, skip, bytes,
					  SPLICE_VM_SOCK_FLAGS);
		if (ret > 0) {
			bytes -= ret;
			*sent += ret;
			skip += ret;
			while (nr && skip >= bvec->bv_len) {
				skip -= bvec->bv_len;
				bvec++;
				nr--;
			}
			continue;
		}
		ret = splice_vm_sock_again(ss, ret);
		if (ret)
			return ret;
	}
	return 0;
}
