/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_UFFD_H
#define MIGRATE_OS_UFFD_H

#include <stdint.h>
#include <linux/userfaultfd.h>

/**
 * enum uffd_result - result of uffd_copy() and uffd_zero(), which have installed @done pages
 * @UFFD_OK: all pages are installed
 * @UFFD_AGAIN: an event is pending: the caller reads the events, looks again, and goes on
 * @UFFD_EXISTS: the next page is populated already
 * @UFFD_NO_VMA: the next page has no mapping any more. The caller lets no other thread read events
 *	during the call: a move whose event is read in the middle of the call is not seen
 * @UFFD_GONE: the process has ended
 * @UFFD_FAILED: another error, in errno
 */
enum uffd_result { UFFD_OK, UFFD_AGAIN, UFFD_EXISTS, UFFD_NO_VMA, UFFD_GONE, UFFD_FAILED };

enum uffd_result uffd_copy(int uffd, uint64_t addr, const void *src, uint64_t nr_pages, uint64_t *done);
enum uffd_result uffd_zero(int uffd, uint64_t addr, uint64_t nr_pages, uint64_t *done);
/** uffd_poison() - a process that touches the pages gets SIGBUS. Before Linux 6.6: UFFD_FAILED, EINVAL */
enum uffd_result uffd_poison(int uffd, uint64_t addr, uint64_t nr_pages, uint64_t *done);

/**
 * uffd_mapped() - see whether one anonymous mapping with this userfaultfd has the whole range
 *
 * Return: UFFD_OK, UFFD_NO_VMA, UFFD_AGAIN or UFFD_GONE. The function changes nothing.
 */
enum uffd_result uffd_mapped(int uffd, uint64_t addr, uint64_t nr_pages);
int uffd_wake(int uffd, uint64_t start, uint64_t bytes);
/** uffd_unregister() - works while events are pending too; threads that wait in the range go on */
int uffd_unregister(int uffd, uint64_t start, uint64_t bytes);

#endif
