/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_COMPAT_SENDPAGES_H
#define SPLICE_VM_COMPAT_SENDPAGES_H

#include <linux/bvec.h>
#include <linux/net.h>

int splice_vm_sendpages(struct socket *sock, struct bio_vec *bvec,
			unsigned int nr, size_t skip, size_t bytes, int flags);

#endif
