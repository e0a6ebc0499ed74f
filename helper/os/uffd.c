// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include "base/page.h"
#include "os/uffd.h"

/* Linux 6.6; the headers of this build may be older */
struct poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON_CALL	_IOWR(UFFDIO, 0x08, struct poison)

/* Stands for the content of a page that is nowhere. */
static const char no_content[1];

/*
 * One UFFDIO_COPY, UFFDIO_ZEROPAGE (@src is NULL) or UFFDIO_POISON; *@bytes: bytes installed.
 * Return: 0 or the errno
 */
static int install(int uffd, uint64_t addr, const void *src, uint64_t want, int64_t *bytes)
{
	struct uffdio_copy copy = { .dst = addr, .src = (uintptr_t)src, .len = want };
	struct uffdio_zeropage zero = { .range = { .start = addr, .len = want } };
	struct poison poison = { .range = { .start = addr, .len = want } };
	int ret;

	/* an EAGAIN before the first page leaves copy.copy and its like at 0 */
	if (src == no_content) {
		ret = ioctl(uffd, POISON_CALL, &poison);
		*bytes = ret ? poison.updated : (int64_t)want;
	} else if (src) {
		ret = ioctl(uffd, UFFDIO_COPY, &copy);
		*bytes = ret ? copy.copy : (int64_t)want;
	} else {
		ret = ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
		*bytes = ret ? zero.zeropage : (int64_t)want;
	}
	return ret ? errno : 0;
}

/* Return: true when an event of a change that the kernel has begun was not read yet */
static bool is_changing(int uffd)
{
	/* no program has memory there */
	struct uffdio_continue probe = {
		.range = { .start = USER_END - 2 * PAGE_BYTES, .len = PAGE_BYTES },
	};

	return ioctl(uffd, UFFDIO_CONTINUE, &probe) && errno == EAGAIN;
}

/*
 * Linux 6.9 and later look for pending events, then wait for the lock of the mapping, and look for the
 * mapping: while another thread moves the mapping, they say ENOENT, and not EAGAIN. The event of that
 * move is pending until it is read, so a second question tells.
 */
static enum uffd_result no_vma(int uffd)
{
	return is_changing(uffd) ? UFFD_AGAIN : UFFD_NO_VMA;
}

static enum uffd_result install_all(int uffd, uint64_t addr, const char *src,
				    uint64_t nr_pages, uint64_t *done)
{
	uint64_t step = nr_pages;

	*done = 0;
	while (*done < nr_pages) {
		uint64_t offset = *done << PAGE_SHIFT;
		int64_t bytes;
		int error;

		if (step > nr_pages - *done)
			step = nr_pages - *done;
		error = install(uffd, addr + offset,
				src && src != no_content ? src + offset : src, step << PAGE_SHIFT,
				&bytes);
		if (bytes > 0) {
			*done += bytes >> PAGE_SHIFT;
			continue;
		}
		/* ENOENT also says that the range does not end in the mapping in which it begins */
		if (error == ENOENT && step > 1) {
			step /= 2;
			continue;
		}
		switch (error) {
		case EINTR:
			continue;
		case EAGAIN:
			return UFFD_AGAIN;
		case EEXIST:
			return UFFD_EXISTS;
		case ENOENT:
			return no_vma(uffd);
		case ESRCH:
			return UFFD_GONE;
		default:
			errno = error;
			return UFFD_FAILED;
		}
	}
	return UFFD_OK;
}

enum uffd_result uffd_copy(int uffd, uint64_t addr, const void *src, uint64_t nr_pages,
			   uint64_t *done)
{
	return install_all(uffd, addr, src, nr_pages, done);
}

enum uffd_result uffd_zero(int uffd, uint64_t addr, uint64_t nr_pages, uint64_t *done)
{
	return install_all(uffd, addr, NULL, nr_pages, done);
}

enum uffd_result uffd_poison(int uffd, uint64_t addr, uint64_t nr_pages, uint64_t *done)
{
	return install_all(uffd, addr, no_content, nr_pages, done);
}

enum uffd_result uffd_mapped(int uffd, uint64_t addr, uint64_t nr_pages)
{
	/* on private memory UFFDIO_CONTINUE says EINVAL once the kernel has found the mapping */
	struct uffdio_continue probe = {
		.range = { .start = addr, .len = nr_pages << PAGE_SHIFT },
	};

	if (!ioctl(uffd, UFFDIO_CONTINUE, &probe))
		return UFFD_OK;
	switch (errno) {
	case EAGAIN:
		return UFFD_AGAIN;
	case ENOENT:
		return no_vma(uffd);
	case ESRCH:
		return UFFD_GONE;
	}
	return UFFD_OK;
}

int uffd_wake(int uffd, uint64_t start, uint64_t bytes)
{
	struct uffdio_range range = { .start = start, .len = bytes };

	return ioctl(uffd, UFFDIO_WAKE, &range);
}

int uffd_unregister(int uffd, uint64_t start, uint64_t bytes)
{
	struct uffdio_range range = { .start = start, .len = bytes };

	return ioctl(uffd, UFFDIO_UNREGISTER, &range);
}
