/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_USERCALL_H
#define SPLICE_VM_USERCALL_H

#include <linux/fs.h>

/**
 * struct splice_vm_usercall - memory of the caller, for ioctls of other files
 * @addr: in the caller's address space
 * @size: bytes
 */
struct splice_vm_usercall {
	unsigned long addr;
	unsigned long size;
};

int splice_vm_usercall_begin(struct splice_vm_usercall *call,
			     unsigned long size);
void splice_vm_usercall_end(struct splice_vm_usercall *call);
long splice_vm_usercall_ioctl(struct splice_vm_usercall *call,
			      struct file *file, unsigned int cmd, void *arg,
			      size_t size);

#endif
