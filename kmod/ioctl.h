/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_IOCTL_H
#define SPLICE_VM_IOCTL_H

#include <linux/fs.h>

long splice_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif
