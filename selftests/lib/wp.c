// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "backend/pagemap_scan.h"
#include "ksft.h"
#include "sys.h"
#include "wp.h"

#define WP_REGIONS	64

/* Newer than the headers of Debian 12. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif
/* struct uffdio_poison of linux/userfaultfd.h. */
struct wp_poison_arg {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};

#define WP_UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct wp_poison_arg)

int wp_uffd(const struct svm *s)
{
	struct splice_vm_uffd arg = { .size = sizeof(arg) };
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};

	ksft_must(!ioctl(s->fd, SPLICE_VM_UFFD, &arg));
	ksft_must(!ioctl(arg.fd, UFFDIO_API, &api));
	return arg.fd;
}

void wp_register(int uffd, unsigned long addr, size_t len)
{
	struct uffdio_register reg = {
		.range = { addr, len },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	ksft_must(!ioctl(uffd, UFFDIO_REGISTER, &reg));
}

static long wp_pagemap_scan(int pagemap_fd, struct pagemap_region *regions,
			    struct pagemap_scan *scan)
{
	scan->flags = PAGEMAP_SCAN_WP_MATCHING;
	scan->vec = (unsigned long)regions;
	scan->vec_len = WP_REGIONS;
	scan->category_mask = PAGEMAP_SCAN_WRITTEN;
	scan->return_mask = PAGEMAP_SCAN_WRITTEN;
	return pagemap_scan(pagemap_fd, scan);
}

long wp_try_scan(int pagemap_fd, unsigned long addr, size_t len)
{
	struct pagemap_region regions[WP_REGIONS];
	struct pagemap_scan scan = { .start = addr, .end = addr + len };

	return wp_pagemap_scan(pagemap_fd, regions, &scan);
}

long wp_scan(int pagemap_fd, unsigned long addr, size_t len)
{
	struct pagemap_region regions[WP_REGIONS];
	struct pagemap_scan scan = { .start = addr, .end = addr + len };
	long i, nr, pages = 0;

	nr = wp_pagemap_scan(pagemap_fd, regions, &scan);
	ksft_must(nr >= 0 && scan.walk_end == scan.end);
	for (i = 0; i < nr; i++)
		pages += (regions[i].end - regions[i].start) / PAGE_SIZE;
	return pages;
}

void wp_poison(int uffd, unsigned long addr, size_t len)
{
	struct wp_poison_arg arg = { .range = { addr, len } };

	ksft_must(!ioctl(uffd, WP_UFFDIO_POISON, &arg));
}
