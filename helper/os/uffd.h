/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_UFFD_H
#define MIGRATE_OS_UFFD_H

#include <stdint.h>
#include <linux/userfaultfd.h>

/**
 * enum uffd_result - how an installing ioctl ended; facts in kernel-facts.md section 7
 * @UFFD_OK: all done, @done pages
 * @UFFD_AGAIN: @done pages done; events are pending: read them, look again, go on
 * @UFFD_EXISTS: @done pages done, the next one is there already
 * @UFFD_NO_VMA: @done pages done, the next one has no mapping any more
 * @UFFD_GONE: the process is gone
 * @UFFD_FAILED: anything else, errno set
 */
enum uffd_result { UFFD_OK, UFFD_AGAIN, UFFD_EXISTS, UFFD_NO_VMA, UFFD_GONE, UFFD_FAILED };

enum uffd_result uffd_copy(int uffd, uint64_t addr, const void *src, uint64_t nr_pages, uint64_t *done);
enum uffd_result uffd_zero(int uffd, uint64_t addr, uint64_t nr_pages, uint64_t *done);

/**
 * uffd_mapped() - does one mapping with this userfaultfd, of anonymous memory, hold all of the range?
 *
 * Return: UFFD_OK, UFFD_NO_VMA, or UFFD_AGAIN, UFFD_GONE as above. Nothing changes.
 */
enum uffd_result uffd_mapped(int uffd, uint64_t addr, uint64_t nr_pages);
int uffd_wake(int uffd, uint64_t start, uint64_t bytes);
/** uffd_unregister() - also while events are pending; who waits there goes on */
int uffd_unregister(int uffd, uint64_t start, uint64_t bytes);

#endif
