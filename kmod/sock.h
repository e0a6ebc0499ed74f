/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SOCK_H
#define SPLICE_VM_SOCK_H

#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <linux/wait.h>

/**
 * struct splice_vm_sock - a socket that SEND writes to; lives for one call
 * @file: of the socket, with a reference
 * @sock: lives as long as @file; what it says of its file is not to be trusted: setsockopt(TCP_ULP,
 *	"smc") of kernels that have it gives the file to another socket (smc_ulp_init())
 * @wait: in the socket's wait queue from get to put
 * @woken: completed by the socket's wake-ups
 */
struct splice_vm_sock {
	struct file *file;
	struct socket *sock;
	wait_queue_entry_t wait;
	struct completion woken;
};

int splice_vm_sock_get(struct splice_vm_sock *ss, int fd);
int splice_vm_sock_check(struct splice_vm_sock *ss);
void splice_vm_sock_put(struct splice_vm_sock *ss);
bool splice_vm_sock_is_ready(struct splice_vm_sock *ss);
bool splice_vm_sock_is_dead(struct splice_vm_sock *ss);
int splice_vm_sock_nap(struct splice_vm_sock *ss);
unsigned long splice_vm_sock_queued(struct sock *sk);
int splice_vm_sock_write(struct splice_vm_sock *ss, void *buf, size_t bytes,
			 u64 *sent);
int splice_vm_sock_write_pages(struct splice_vm_sock *ss, struct bio_vec *bvec,
			       unsigned int nr, size_t bytes, u64 *sent);

static inline bool splice_vm_sock_is_nonblocking(struct splice_vm_sock *ss)
{
	return ss->file->f_flags & O_NONBLOCK;
}

#endif
