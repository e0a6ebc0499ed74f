// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend/pagemap_scan.h"

#define IOCTL_PAGEMAP_SCAN	_IOWR('f', 16, struct pagemap_scan)

long pagemap_scan(int pagemap_fd, struct pagemap_scan *scan)
{
	long nr;

	scan->size = sizeof(*scan);
	nr = ioctl(pagemap_fd, IOCTL_PAGEMAP_SCAN, scan);
	return nr < 0 ? -errno : nr;
}

bool pagemap_scan_is_supported(void)
{
	struct pagemap_scan scan = {
		.start = 4096, .end = 2 * 4096, .category_mask = PAGEMAP_SCAN_WRITTEN,
		.return_mask = PAGEMAP_SCAN_WRITTEN,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool supported = fd >= 0 && pagemap_scan(fd, &scan) >= 0;

	if (fd >= 0)
		close(fd);
	return supported;
}
