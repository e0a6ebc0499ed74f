/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_FILE_H
#define SPLICE_VM_FILE_H

#include <linux/fs.h>

extern const struct file_operations splice_vm_fops;

#endif
