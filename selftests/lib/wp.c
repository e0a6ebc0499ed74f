// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

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
#define WP_PAGE_IS_WRITTEN		(1ULL << 1)
#define WP_SCAN_MATCHING		(1ULL << 0)

/* struct page_region and struct pm_scan_arg of linux/fs.h. */
struct wp_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

struct wp_arg {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define WP_PAGEMAP_SCAN	_IOWR('f', 16, struct wp_arg)

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

static long wp_pagemap_scan(int pagemap_fd, struct wp_region *regions,
			    struct wp_arg *arg)
{
	long nr;

	arg->size = sizeof(*arg);
	arg->flags = WP_SCAN_MATCHING;
	arg->vec = (unsigned long)regions;
	arg->vec_len = WP_REGIONS;
	arg->category_mask = WP_PAGE_IS_WRITTEN;
	arg->return_mask = WP_PAGE_IS_WRITTEN;
	nr = ioctl(pagemap_fd, WP_PAGEMAP_SCAN, arg);
	return nr < 0 ? -errno : nr;
}

long wp_try_scan(int pagemap_fd, unsigned long addr, size_t len)
{
	struct wp_region regions[WP_REGIONS];
	struct wp_arg arg = { .start = addr, .end = addr + len };

	return wp_pagemap_scan(pagemap_fd, regions, &arg);
}

long wp_scan(int pagemap_fd, unsigned long addr, size_t len)
{
	struct wp_region regions[WP_REGIONS];
	struct wp_arg arg = { .start = addr, .end = addr + len };
	long i, nr, pages = 0;

	nr = wp_pagemap_scan(pagemap_fd, regions, &arg);
	ksft_must(nr >= 0 && arg.walk_end == arg.end);
	for (i = 0; i < nr; i++)
		pages += (regions[i].end - regions[i].start) / PAGE_SIZE;
	return pages;
}

void wp_poison(int uffd, unsigned long addr, size_t len)
{
	struct wp_poison_arg arg = { .range = { addr, len } };

	ksft_must(!ioctl(uffd, WP_UFFDIO_POISON, &arg));
}
