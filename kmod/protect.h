/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_PROTECT_H
#define SPLICE_VM_PROTECT_H

#include "session.h"
#include "usercall.h"

#if defined(HAVE_PAGEMAP_SCAN) && IS_ENABLED(CONFIG_MMU_NOTIFIER) && \
	IS_ENABLED(CONFIG_PTE_MARKER_UFFD_WP)

#define SPLICE_VM_HAS_PROTECT	1

struct file *splice_vm_protect_pagemap(struct mm_struct *mm,
				       const struct file *mem);
int splice_vm_protect_start(struct splice_vm_session *sess,
			    struct mm_struct *mm);
void splice_vm_protect_stop(struct splice_vm_session *sess);
int splice_vm_protect_begin(struct splice_vm_session *sess,
			    struct mm_struct *mm,
			    struct splice_vm_usercall *call,
			    unsigned long start, unsigned long end);
int splice_vm_protect_collect(struct splice_vm_session *sess,
			      struct mm_struct *mm,
			      struct splice_vm_usercall *call,
			      unsigned long start, unsigned long end,
			      unsigned long *until);

#else

#define SPLICE_VM_HAS_PROTECT	0

static inline struct file *splice_vm_protect_pagemap(struct mm_struct *mm,
						     const struct file *mem)
{
	return NULL;
}

static inline int splice_vm_protect_start(struct splice_vm_session *sess,
					  struct mm_struct *mm)
{
	return -EOPNOTSUPP;
}

static inline void splice_vm_protect_stop(struct splice_vm_session *sess)
{
}

static inline int splice_vm_protect_begin(struct splice_vm_session *sess,
					  struct mm_struct *mm,
					  struct splice_vm_usercall *call,
					  unsigned long start,
					  unsigned long end)
{
	return -EOPNOTSUPP;
}

static inline int splice_vm_protect_collect(struct splice_vm_session *sess,
					    struct mm_struct *mm,
					    struct splice_vm_usercall *call,
					    unsigned long start,
					    unsigned long end,
					    unsigned long *until)
{
	return -EOPNOTSUPP;
}

#endif

#endif
