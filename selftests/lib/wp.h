/* SPDX-License-Identifier: GPL-2.0 */
/* Write-protection without the module: a userfaultfd and PAGEMAP_SCAN, Linux 6.7 on. */
#ifndef SPLICE_VM_SELFTESTS_WP_H
#define SPLICE_VM_SELFTESTS_WP_H

#include <stddef.h>
#include <sys/types.h>

#include "svm.h"

/* A userfaultfd of the target, by SPLICE_VM_UFFD, with asynchronous write-protection. */
int wp_uffd(const struct svm *s);
void wp_register(int uffd, unsigned long addr, size_t len);
/* Pages that were written since they were protected; they are protected again. */
long wp_scan(int pagemap_fd, unsigned long addr, size_t len);
/* The same where it may fail, or come not so far: regions or -errno. */
long wp_try_scan(int pagemap_fd, unsigned long addr, size_t len);
/* Pages that read as a memory error from now on; what is there already stays. */
void wp_poison(int uffd, unsigned long addr, size_t len);

#endif
