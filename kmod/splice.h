/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SPLICE_H
#define SPLICE_VM_SPLICE_H

#include <linux/fs.h>

ssize_t splice_vm_splice_read(struct file *in, loff_t *ppos,
			      struct pipe_inode_info *pipe, size_t len,
			      unsigned int flags);

#endif
