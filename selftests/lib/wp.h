/* SPDX-License-Identifier: GPL-2.0 */
/* Write-protection without the module: a userfaultfd and PAGEMAP_SCAN, Linux 6.7 on. */
#ifndef SPLICE_VM_SELFTESTS_WP_H
#define SPLICE_VM_SELFTESTS_WP_H

#include <stddef.h>
#include <sys/types.h>

#include "svm.h"

/* Opens a userfaultfd of the target (SPLICE_VM_UFFD) with asynchronous write-protection. */
int wp_uffd(const struct svm *s);
void wp_register(int uffd, unsigned long addr, size_t len);
/* Protects the written pages again. Return: number of pages written since the last protection */
long wp_scan(int pagemap_fd, unsigned long addr, size_t len);
/* wp_scan() that may fail or stop early. Return: regions or -errno */
long wp_try_scan(int pagemap_fd, unsigned long addr, size_t len);
/* From now on the missing pages of the range read as a memory error. */
void wp_poison(int uffd, unsigned long addr, size_t len);

#endif
