// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "backend/svm.h"
#include "base/io.h"
#include "pages/page_set.h"

#define SCAN_RUNS	4096
#define SEND_RUNS	512

#define HINT_MODULE	"load it with modprobe splice_vm; README.md says how it is installed"
#define HINT_ROOT	"run as root"

static int open_device(struct error *err)
{
	int fd = open(SPLICE_VM_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return error_errno(err, CODE_NOT_READY, errno == EACCES ? HINT_ROOT : HINT_MODULE,
			   "cannot open %s", SPLICE_VM_DEVICE);
}

static int read_info(int fd, struct splice_vm_info *info, struct error *err)
{
	*info = (struct splice_vm_info){ .size = sizeof(*info) };
	if (ioctl(fd, SPLICE_VM_INFO, info))
		return error_errno(err, CODE_NOT_READY, "load the module of this version",
				   "%s does not answer INFO", SPLICE_VM_DEVICE);
	if (info->page_size != PAGE_BYTES)
		return error_set(err, CODE_NOT_READY, NULL, "pages of %u bytes are not supported",
				 info->page_size);
	return 0;
}

int svm_probe(struct splice_vm_info *info, struct error *err)
{
	int fd = open_device(err), ret;

	if (fd < 0)
		return -1;
	ret = read_info(fd, info, err);
	close(fd);
	return ret;
}

/* Turn errno of a failed call on the target's memory into @err. */
static int call_failed(const struct svm *svm, const char *call, struct error *err)
{
	if (errno == ESRCH)
		return error_set(err, CODE_TARGET, NULL,
				 "process %d has exited or called exec", svm->pid);
	return error_errno(err, CODE_INTERNAL, NULL, "%s of process %d failed", call, svm->pid);
}

static int attach(struct svm *svm, struct error *err)
{
	struct splice_vm_attach attach = { .size = sizeof(attach) };
	char path[32];
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", svm->pid);
	attach.mem_fd = open(path, O_RDWR | O_CLOEXEC);
	if (attach.mem_fd < 0)
		return error_errno(err, errno == ENOENT ? CODE_TARGET : CODE_NOT_READY,
				   errno == EACCES ? HINT_ROOT : NULL, "cannot open %s", path);
	if (ioctl(svm->fd, SPLICE_VM_ATTACH, &attach))
		ret = call_failed(svm, "ATTACH", err);
	close(attach.mem_fd);
	return ret;
}

int svm_open(struct svm *svm, pid_t pid, struct error *err)
{
	svm->pid = pid;
	svm->fd = open_device(err);
	if (svm->fd < 0)
		return -1;
	if (!read_info(svm->fd, &svm->info, err) && !attach(svm, err))
		return 0;
	svm_close(svm);
	return -1;
}

void svm_close(struct svm *svm)
{
	if (svm->fd >= 0)
		close(svm->fd);
	svm->fd = -1;
}

int svm_info(const struct svm *svm, struct splice_vm_info *info, struct error *err)
{
	return read_info(svm->fd, info, err);
}

int svm_track(struct svm *svm, struct error *err)
{
	struct splice_vm_track track = {
		.size = sizeof(track), .tracker = SPLICE_VM_TRACKER_SOFT_DIRTY,
	};

	if (!ioctl(svm->fd, SPLICE_VM_TRACK, &track))
		return 0;
	if (errno == EOPNOTSUPP)
		return error_set(err, CODE_NOT_READY, "use a kernel with CONFIG_MEM_SOFT_DIRTY",
				 "the module has no soft-dirty tracker here");
	return call_failed(svm, "TRACK", err);
}

int svm_scan(struct svm *svm, uint32_t flags, uint64_t start, uint64_t end, svm_runs_fn fn,
	     void *ctx, struct error *err)
{
	struct splice_vm_run *runs = malloc(SCAN_RUNS * sizeof(*runs));
	struct splice_vm_scan scan = {
		.size = sizeof(scan), .flags = flags, .start = start, .end = end,
		.runs = (uintptr_t)runs,
	};
	int ret = 0;

	if (!runs)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a scan");
	do {
		scan.nr_runs = SCAN_RUNS;
		if (ioctl(svm->fd, SPLICE_VM_SCAN, &scan))
			ret = errno == EINTR ? 0 : call_failed(svm, "SCAN", err);
		else if (scan.nr_runs)
			ret = fn(ctx, runs, scan.nr_runs, err);
	} while (!ret && !scan.done);
	free(runs);
	return ret;
}

/* Progress of svm_send(): @skip pages of @runs[0] are done. */
struct cursor {
	const struct splice_vm_run *runs;
	uint32_t nr_runs, skip;
};

/* Copy the next runs into @buf. Return: number of runs */
static uint32_t cursor_fill(const struct cursor *at, struct splice_vm_run *buf, uint32_t max)
{
	uint32_t nr = at->nr_runs < max ? at->nr_runs : max;

	for (uint32_t i = 0; i < nr; i++)
		buf[i] = (struct splice_vm_run){
			.addr = at->runs[i].addr, .nr_pages = at->runs[i].nr_pages,
		};
	buf[0].addr += (uint64_t)at->skip << PAGE_SHIFT;
	buf[0].nr_pages -= at->skip;
	return nr;
}

static void cursor_advance(struct cursor *at, uint64_t pages)
{
	while (at->nr_runs && pages >= at->runs->nr_pages - at->skip) {
		pages -= at->runs->nr_pages - at->skip;
		at->skip = 0;
		at->runs++;
		at->nr_runs--;
	}
	at->skip += pages;
}

static int send_failed(const struct svm *svm, struct error *err)
{
	switch (errno) {
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return error_errno(err, CODE_NETWORK, NULL, "link lost while sending pages");
	default:
		return call_failed(svm, "SEND", err);
	}
}

int svm_send(struct svm *svm, int sock, uint64_t cookie, const struct splice_vm_run *runs,
	     uint32_t nr_runs, svm_runs_fn fn, void *ctx, struct svm_sent *sent,
	     struct error *err)
{
	uint32_t max = svm->info.max_runs < SEND_RUNS ? svm->info.max_runs : SEND_RUNS;
	struct splice_vm_run in[SEND_RUNS], out[2 * SEND_RUNS];
	struct cursor at = { .runs = runs, .nr_runs = nr_runs };

	while (at.nr_runs) {
		struct splice_vm_send send = {
			.size = sizeof(send), .sock_fd = sock, .cookie = cookie,
			.nr_runs = cursor_fill(&at, in, max), .runs = (uintptr_t)in,
			.nr_results = 2 * SEND_RUNS, .results = (uintptr_t)out,
		};

		if (ioctl(svm->fd, SPLICE_VM_SEND, &send)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return send_failed(svm, err);
		}
		sent->pages += send.pages_sent;
		sent->bytes += send.bytes_sent;
		cursor_advance(&at, send.pages_done);
		if (send.nr_results && fn(ctx, out, send.nr_results, err))
			return -1;
	}
	return 0;
}

int svm_splice(struct svm *svm, uint64_t addr, size_t nr, int pipe_fd, size_t *done, struct error *err)
{
	loff_t at = addr;

	*done = 0;
	while (*done < nr) {
		ssize_t n = splice(svm->fd, &at, pipe_fd, NULL, (nr - *done) * PAGE_BYTES, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* pread() can have the page, or nothing can */
		if (n < 0 && (errno == ENODATA || errno == EFAULT))
			return 0;
		if (n < 0)
			return call_failed(svm, "splice", err);
		if (!n)
			return 0;
		*done += n / PAGE_BYTES;
	}
	return 0;
}

int svm_read(struct svm *svm, uint64_t addr, void *buf, size_t bytes, size_t *done,
	     struct error *err)
{
	if (!io_pread_all(svm->fd, buf, bytes, addr, done) || errno == EFAULT)
		return 0;
	return call_failed(svm, "read", err);
}
