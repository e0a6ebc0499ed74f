/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_COPY_H
#define SPLICE_VM_COPY_H

#include <linux/uio.h>

ssize_t splice_vm_read_iter(struct kiocb *iocb, struct iov_iter *to);

#endif
