/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_USERCALL_H
#define SPLICE_VM_USERCALL_H

#include <linux/fs.h>

/* An ioctl's argument comes first, what the ioctl finds behind it. */
#define SPLICE_VM_USERCALL_ARG	128UL

/**
 * struct splice_vm_usercall - memory of the caller, for ioctls of other files
 * @addr: in the caller's address space
 * @size: bytes
 * @mapped: for this call; else it is the caller's own
 */
struct splice_vm_usercall {
	unsigned long addr;
	unsigned long size;
	bool mapped;
};

int splice_vm_usercall_map(struct splice_vm_usercall *call);
int splice_vm_usercall_begin(struct splice_vm_usercall *call,
			     unsigned long addr, unsigned long size);
void splice_vm_usercall_end(struct splice_vm_usercall *call);
long splice_vm_usercall_ioctl(struct splice_vm_usercall *call,
			      struct file *file, unsigned int cmd, void *arg,
			      size_t size);

#endif
