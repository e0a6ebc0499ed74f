// SPDX-License-Identifier: GPL-2.0
/*
 * Pages to a socket by reference. TCP honours MSG_SPLICE_PAGES from 6.5 on, which
 * dropped sendpage; the flag's macro is older than that (6.1 has it).
 */
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>

#include "sendpages.h"

#ifndef HAVE_SENDPAGE

/**
 * splice_vm_sendpages() - send pages by reference
 * @sock: TCP or AF_UNIX stream
 * @bvec: pieces; each within one folio
 * @nr: how many
 * @skip: bytes of the first piece that are sent already
 * @bytes: to be sent, in all pieces after @skip
 * @flags: MSG_*; must have MSG_DONTWAIT
 *
 * The socket takes references of its own. Return: bytes, maybe fewer, or -errno
 */
int splice_vm_sendpages(struct socket *sock, struct bio_vec *bvec,
			unsigned int nr, size_t skip, size_t bytes, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bvec, nr, skip + bytes);
	iov_iter_advance(&msg.msg_iter, skip);
	return sock_sendmsg(sock, &msg);
}

#else

/* Pieces that go out in one hold of the socket's lock: ACKs wait meanwhile. */
#define SPLICE_VM_LOCKED_PIECES	64

/*
 * Takes the lock of a TCP socket that has no ULP. Asked below the lock: kTLS has one of its
 * own outside of it, which only the unlocked call takes.
 */
static bool splice_vm_sock_lock_plain(struct sock *sk)
{
	if (!sk_is_tcp(sk))
		return false;
	lock_sock(sk);
	if (!inet_csk_has_ulp(sk))
		return true;
	release_sock(sk);
	return false;
}

static int splice_vm_sendpage(struct socket *sock, bool locked,
			      const struct bio_vec *bv, size_t skip, int flags)
{
	if (locked)
		return kernel_sendpage_locked(sock->sk, bv->bv_page,
					      bv->bv_offset + skip,
					      bv->bv_len - skip, flags);
	return kernel_sendpage(sock, bv->bv_page, bv->bv_offset + skip,
			       bv->bv_len - skip, flags);
}

int splice_vm_sendpages(struct socket *sock, struct bio_vec *bvec,
			unsigned int nr, size_t skip, size_t bytes, int flags)
{
	bool locked = splice_vm_sock_lock_plain(sock->sk);
	unsigned int i, pieces = nr;
	int ret = 0, done = 0;

	if (locked)
		pieces = min_t(unsigned int, nr, SPLICE_VM_LOCKED_PIECES);
	for (i = 0; i < pieces; i++) {
		int more = i + 1 < nr ? MSG_MORE | MSG_SENDPAGE_NOTLAST : 0;

		ret = splice_vm_sendpage(sock, locked, &bvec[i], skip,
					 flags | more);
		if (ret < 0)
			break;
		done += ret;
		if (ret < bvec[i].bv_len - skip)
			break;
		skip = 0;
	}
	if (locked)
		release_sock(sock->sk);
	return done ?: ret;
}

#endif
