// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/io.h"
#include "base/page.h"
#include "os/pagemap.h"
#include "os/proc.h"

int pagemap_open(pid_t pid, struct error *err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		error_errno(err, proc_is_gone(errno) ? CODE_TARGET : CODE_NOT_READY,
			    errno == EACCES || errno == EPERM ? "run as root" : NULL,
			    "cannot open %s", path);
	return fd;
}

int pagemap_read(int fd, uint64_t addr, size_t nr, uint64_t *entries, struct error *err)
{
	size_t bytes = nr * sizeof(*entries), done;

	if (io_pread_all(fd, entries, bytes, addr / PAGE_BYTES * sizeof(*entries), &done))
		return error_errno(err, CODE_TARGET, NULL, "cannot read a pagemap");
	return done == bytes ? 0 : error_set(err, CODE_TARGET, NULL,
					     "the process has exited or called exec");
}

/** struct own_page - a page of this process, and its pagemap entry */
struct own_page {
	char *page;
	int fd;
};

static bool own_page_make(struct own_page *own)
{
	own->fd = pagemap_open(getpid(), &(struct error){ 0 });
	own->page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	return own->fd >= 0 && own->page != MAP_FAILED;
}

static uint64_t own_page_entry(const struct own_page *own)
{
	uint64_t entry;

	return pagemap_read(own->fd, (uintptr_t)own->page, 1, &entry, &(struct error){ 0 }) ? 0 :
	       entry;
}

static void own_page_end(struct own_page *own)
{
	if (own->page != MAP_FAILED)
		munmap(own->page, PAGE_BYTES);
	if (own->fd >= 0)
		close(own->fd);
}

static pthread_once_t zero_once = PTHREAD_ONCE_INIT;
static uint64_t zero_frame;

static void find_zero_frame(void)
{
	struct own_page own;
	uint64_t entry = 0;

	/* the first read of an anonymous page maps the kernel's page of zeros */
	if (own_page_make(&own) && !__atomic_load_n(own.page, __ATOMIC_SEQ_CST))
		entry = own_page_entry(&own);
	own_page_end(&own);
	zero_frame = entry & PM_PRESENT ? entry & PM_FRAME : 0;
}

/* It is the same for all programs, as long as the machine runs. */
uint64_t pagemap_zero_frame(void)
{
	pthread_once(&zero_once, find_zero_frame);
	return zero_frame;
}

static bool try_to_tell_writes(void)
{
	int clear = proc_open_clear_refs(getpid(), &(struct error){ 0 });
	bool cleared = false, written = false;
	struct own_page own;

	if (own_page_make(&own) && clear >= 0) {
		/* atomic, since a compiler may drop a plain store */
		__atomic_store_n(own.page, 1, __ATOMIC_SEQ_CST);
		if (!proc_clear_refs(clear, &(struct error){ 0 })) {
			cleared = !(own_page_entry(&own) & PM_SOFT_DIRTY);
			__atomic_store_n(own.page, 2, __ATOMIC_SEQ_CST);
			written = own_page_entry(&own) & PM_SOFT_DIRTY;
		}
	}
	own_page_end(&own);
	if (clear >= 0)
		close(clear);
	return cleared && written;
}

static pthread_once_t writes_once = PTHREAD_ONCE_INIT;
static bool writes_told;

static void find_writes_told(void)
{
	writes_told = try_to_tell_writes();
}

bool pagemap_tells_writes(void)
{
	pthread_once(&writes_once, find_writes_told);
	return writes_told;
}
