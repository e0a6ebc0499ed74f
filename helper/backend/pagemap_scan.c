// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend/pagemap_scan.h"
#include "base/clock.h"

#define WINDOW_MIN	(2ULL << 30)
#define WINDOW_MAX	(1024ULL << 30)
/* How long one PAGEMAP_SCAN may hold the mmap lock for reading, in nanoseconds. */
#define WINDOW_NS	2000000ULL

#define IOCTL_PAGEMAP_SCAN	_IOWR('f', 16, struct pagemap_scan)

long pagemap_scan(int pagemap_fd, struct pagemap_scan *scan)
{
	long nr;

	scan->size = sizeof(*scan);
	nr = ioctl(pagemap_fd, IOCTL_PAGEMAP_SCAN, scan);
	return nr < 0 ? -errno : nr;
}

long pagemap_scan_window(int pagemap_fd, struct pagemap_scan *scan, struct scan_window *window)
{
	uint64_t begun = clock_now_ns();
	long nr = pagemap_scan(pagemap_fd, scan);

	if (nr < 0)
		return nr;
	if (clock_now_ns() - begun > WINDOW_NS && window->bytes > WINDOW_MIN)
		window->bytes /= 2;
	else if (scan->walk_end == scan->end && window->bytes < WINDOW_MAX)
		window->bytes *= 2;
	return scan->walk_end > scan->start ? nr : -EIO;
}

/* Hundreds of sessions ask: the kernel answers once, unless descriptors are short. */
static atomic_int known;

enum { UNKNOWN, SUPPORTED, NOT_SUPPORTED };

bool pagemap_scan_is_supported(void)
{
	struct pagemap_scan scan = {
		.start = 4096, .end = 2 * 4096, .category_mask = PAGEMAP_SCAN_WRITTEN,
		.return_mask = PAGEMAP_SCAN_WRITTEN,
	};
	int fd;

	if (atomic_load(&known) == UNKNOWN) {
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return false;
		atomic_store(&known, pagemap_scan(fd, &scan) >= 0 ? SUPPORTED : NOT_SUPPORTED);
		close(fd);
	}
	return atomic_load(&known) == SUPPORTED;
}
