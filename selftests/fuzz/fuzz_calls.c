// SPDX-License-Identifier: GPL-2.0
/* Random calls on random sessions, and what must hold of their answers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "ksft.h"
#include "svm.h"
#include "sys.h"

#define RUNS		600

static __thread int call_pipe[2];
static __thread struct splice_vm_run call_runs[RUNS], call_results[RUNS];
static __thread unsigned char call_buffer[32 * PAGE_SIZE];

/* Where the kernel should read or write for us: mostly where it can. */
static void *call_pointer(__u64 *seed, void *good)
{
	unsigned long len;

	switch (fuzz_below(seed, 24)) {
	case 0:
		return NULL;
	case 1:
		return (void *)~0xfffUL;
	case 2:
		return (void *)fuzz_range(seed, &len);
	default:
		return good;
	}
}

/* Return: true when something in @arg is not as it was meant. */
static bool call_mutate(__u64 *seed, void *arg, size_t size)
{
	unsigned char *byte = arg;

	if (!fuzz_one_in(seed, 12))
		return false;
	byte[fuzz_below(seed, size)] ^= 1 << fuzz_below(seed, 8);
	return true;
}

static __u64 call_addr(__u64 *seed)
{
	unsigned long len;

	switch (fuzz_below(seed, 16)) {
	case 0:
		return 0;
	case 1:
		return (1UL << 47) - (fuzz_below(seed, 4) << 12);
	case 2:
		return sys_random(seed);
	default:
		return fuzz_range(seed, &len);
	}
}

static long call_attach(__u64 *seed)
{
	static const __u32 caps[] = { 0, 0, 0, 1024, 2048, 7 };
	struct splice_vm_attach arg = {
		.size = sizeof(arg),
		.max_inflight_pages = caps[fuzz_below(seed, ARRAY_SIZE(caps))],
	};
	int mem = sys_proc_open(fuzz_target(seed), "mem",
				fuzz_one_in(seed, 8) ? O_RDONLY : O_RDWR);
	long ret;

	/* The target is on its way to be another one. */
	if (mem < 0)
		return -ESRCH;
	arg.mem_fd = mem;
	call_mutate(seed, &arg, sizeof(arg));
	ret = svm_ioctl(fuzz_session(seed), SPLICE_VM_ATTACH,
			 call_pointer(seed, &arg));
	close(mem);
	return ret;
}

static __u32 call_tracker(__u64 *seed)
{
	return fuzz_one_in(seed, 3) ? SPLICE_VM_TRACKER_EVENTS :
				      SPLICE_VM_TRACKER_AUTO;
}

static long call_track(__u64 *seed)
{
	struct splice_vm_track arg = {
		.size = sizeof(arg),
		.tracker = call_tracker(seed),
	};

	if (arg.tracker == SPLICE_VM_TRACKER_EVENTS)
		arg.uffd_fd = -1;

	call_mutate(seed, &arg, sizeof(arg));
	return svm_ioctl(fuzz_session(seed), SPLICE_VM_TRACK,
			  call_pointer(seed, &arg));
}

/* Empty, bound to a target, or tracking. */
static long call_open(__u64 *seed)
{
	int fd = open(SPLICE_VM_DEVICE, O_RDONLY | O_CLOEXEC), mem;

	if (fd < 0)
		return -errno;
	if (!fuzz_one_in(seed, 8)) {
		mem = sys_proc_open(fuzz_target(seed), "mem", O_RDWR);
		if (mem >= 0) {
			svm_attach(fd, mem, 0);
			close(mem);
		}
		if (!fuzz_one_in(seed, 4))
			svm_track_with(fd, call_tracker(seed));
	}
	dup3(fd, fuzz_session(seed), O_CLOEXEC);
	close(fd);
	return 0;
}

static long call_info(__u64 *seed)
{
	struct splice_vm_info arg = { .size = sizeof(arg) };
	bool odd = call_mutate(seed, &arg, sizeof(arg));
	void *pointer = call_pointer(seed, &arg);
	long ret = svm_ioctl(fuzz_session(seed), SPLICE_VM_INFO, pointer);

	if (!ret && !odd && pointer == &arg &&
	    (arg.page_size != PAGE_SIZE || arg.reserved || arg.gone > 1 ||
	     arg.attached > 1 || (arg.epochs && !arg.tracker)))
		fuzz_broken("INFO: tracker %u, attached %u, epochs %llu\n",
			    arg.tracker, arg.attached, arg.epochs);
	return ret;
}

static bool call_is_good_run(const struct splice_vm_scan *arg,
			     const struct splice_vm_run *run, __u64 start)
{
	__u64 end = run->addr + run->nr_pages * PAGE_SIZE;
	__u32 what = run->flags & (SPLICE_VM_RUN_DIRTY | SPLICE_VM_RUN_DROPPED);

	if (!run->nr_pages || run->addr % PAGE_SIZE || run->addr < start ||
	    end > arg->end || end < run->addr)
		return false;
	if (arg->flags == SPLICE_VM_SCAN_TRACKED)
		return what && what != (SPLICE_VM_RUN_DIRTY |
					SPLICE_VM_RUN_DROPPED);
	if (arg->flags == SPLICE_VM_SCAN_MAPPINGS)
		return run->flags == SPLICE_VM_RUN_COVERED ||
		       run->flags == SPLICE_VM_RUN_NEW ||
		       run->flags == SPLICE_VM_RUN_OPAQUE;
	return !what && run->flags & (SPLICE_VM_RUN_PRESENT |
				      SPLICE_VM_RUN_SWAPPED);
}

static void call_check_scan(const struct splice_vm_scan *arg, __u64 start,
			    __u32 cap)
{
	__u64 from = start;
	__u32 i;

	/* Above user space the end is where that ends. */
	if (arg->nr_runs > cap || arg->done > 1 || arg->start < start ||
	    arg->start > arg->end || (arg->start == arg->end && !arg->done) ||
	    (arg->start < arg->end && arg->done && arg->end != SVM_END))
		fuzz_broken("SCAN: %u runs of %u, done %u, %#llx of %#llx\n",
			    arg->nr_runs, cap, arg->done, arg->start, arg->end);
	for (i = 0; i < arg->nr_runs && i < cap; i++) {
		const struct splice_vm_run *run = &call_runs[i];

		if (!call_is_good_run(arg, run, from))
			fuzz_broken("SCAN %u: run %u of %u: %#llx +%u flags %#x\n",
				    arg->flags, i, arg->nr_runs, run->addr,
				    run->nr_pages, run->flags);
		from = run->addr + run->nr_pages * PAGE_SIZE;
	}
}

static __u32 call_scan_flag(__u64 *seed)
{
	switch (fuzz_below(seed, 6)) {
	case 0:
	case 1:
		return SPLICE_VM_SCAN_POPULATED;
	case 2:
		return SPLICE_VM_SCAN_MAPPINGS;
	default:
		return SPLICE_VM_SCAN_TRACKED;
	}
}

static long call_epoch(__u64 *seed)
{
	struct splice_vm_epoch arg = {
		.size = sizeof(arg),
		.flags = fuzz_one_in(seed, 3) ? SPLICE_VM_EPOCH_MORE : 0,
		.end = SVM_END,
		.nr_runs = fuzz_below(seed, 4),
	};
	unsigned long len;
	__u32 i;

	if (fuzz_one_in(seed, 2)) {
		arg.start = fuzz_range(seed, &len);
		arg.end = arg.start + len;
	}
	for (i = 0; i < arg.nr_runs; i++)
		call_runs[i] = (struct splice_vm_run){
			arg.start + 2 * i * PAGE_SIZE, 1 + fuzz_below(seed, 2), 0
		};
	arg.runs = (unsigned long)call_pointer(seed, call_runs);
	call_mutate(seed, &arg, sizeof(arg));
	return svm_ioctl(fuzz_session(seed), SPLICE_VM_EPOCH,
			 call_pointer(seed, &arg));
}

static long call_scan(__u64 *seed)
{
	unsigned long len;
	struct splice_vm_scan arg = {
		.size = sizeof(arg),
		.flags = call_scan_flag(seed),
		.end = SVM_END,
		.nr_runs = 1 + fuzz_below(seed, RUNS),
	};
	__u32 cap = arg.nr_runs;
	__u64 start;
	bool odd;
	void *pointer;
	long ret;

	if (fuzz_one_in(seed, 2)) {
		arg.start = fuzz_range(seed, &len);
		arg.end = arg.start + len;
	}
	start = arg.start;
	arg.runs = (unsigned long)call_pointer(seed, call_runs);
	odd = arg.runs != (unsigned long)call_runs ||
	      call_mutate(seed, &arg, sizeof(arg));
	pointer = call_pointer(seed, &arg);
	ret = svm_ioctl(fuzz_session(seed), SPLICE_VM_SCAN, pointer);
	if (!ret && !odd && pointer == &arg)
		call_check_scan(&arg, start, cap);
	return ret;
}

static void call_check_send(const struct splice_vm_send *arg)
{
	__u64 done = 0, sent = 0;
	__u32 i;

	for (i = 0; i < arg->nr_results; i++) {
		const struct splice_vm_run *run = &call_results[i];

		if (!run->nr_pages || __builtin_popcount(run->flags) != 1 ||
		    !(run->flags & 0xf0000))
			fuzz_broken("SEND: result %u: %#llx +%u flags %#x\n", i,
				    run->addr, run->nr_pages, run->flags);
		done += run->nr_pages;
		if (run->flags == SPLICE_VM_RUN_SENT)
			sent += run->nr_pages;
	}
	if (!done || done != arg->pages_done || sent != arg->pages_sent ||
	    arg->bytes_sent < sent * PAGE_SIZE)
		fuzz_broken("SEND: %llu done of %llu, %llu sent of %llu, %llu bytes\n",
			    done, arg->pages_done, sent, arg->pages_sent,
			    arg->bytes_sent);
}

static long call_send(__u64 *seed)
{
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.sock_fd = fuzz_sock(seed),
		.nr_runs = 1 + fuzz_below(seed, fuzz_one_in(seed, 4) ? RUNS : 8),
		.nr_results = 1 + fuzz_below(seed, RUNS),
		.cookie = 1,
	};
	unsigned long len;
	bool odd;
	void *pointer;
	long ret;
	__u32 i;

	for (i = 0; i < arg.nr_runs; i++) {
		call_runs[i].addr = fuzz_range(seed, &len);
		call_runs[i].nr_pages = 1 + fuzz_below(seed, 200);
		call_runs[i].flags = 0;
	}
	if (fuzz_one_in(seed, 16))
		call_runs[0].addr = call_addr(seed);
	arg.runs = (unsigned long)call_pointer(seed, call_runs);
	arg.results = (unsigned long)call_pointer(seed, call_results);
	odd = arg.runs != (unsigned long)call_runs ||
	      arg.results != (unsigned long)call_results ||
	      call_mutate(seed, &arg, sizeof(arg));
	pointer = call_pointer(seed, &arg);
	ret = svm_ioctl(fuzz_session(seed), SPLICE_VM_SEND, pointer);
	if (!ret && !odd && pointer == &arg)
		call_check_send(&arg);
	return ret;
}

static long call_splice(__u64 *seed)
{
	size_t len = (1 + fuzz_below(seed, 24)) * PAGE_SIZE, in_pipe;
	long ret = svm_splice(fuzz_session(seed), call_pipe[1], call_addr(seed),
			      fuzz_one_in(seed, 16) ? len + 1 : len);

	in_pipe = ret > 0 ? read(call_pipe[0], call_buffer, sizeof(call_buffer)) :
			    0;
	if (ret > 0 && (ret % PAGE_SIZE || ret > (long)len ||
			in_pipe != (size_t)ret))
		fuzz_broken("splice: %ld of %zu, %zu in the pipe\n", ret, len,
			    in_pipe);
	return ret;
}

static long call_sendfile(__u64 *seed)
{
	off_t pos = call_addr(seed);
	size_t len = (1 + fuzz_below(seed, 300)) * PAGE_SIZE;
	ssize_t ret = sendfile(fuzz_sock(seed), fuzz_session(seed), &pos, len);

	if (ret > (ssize_t)len)
		fuzz_broken("sendfile: %zd of %zu\n", ret, len);
	return ret < 0 ? -errno : ret;
}

static long call_pread(__u64 *seed)
{
	size_t len = fuzz_below(seed, sizeof(call_buffer));
	ssize_t ret = pread(fuzz_session(seed),
			    call_pointer(seed, call_buffer), len,
			    call_addr(seed) + fuzz_below(seed, PAGE_SIZE));

	if (ret > (ssize_t)len)
		fuzz_broken("pread: %zd of %zu\n", ret, len);
	return ret < 0 ? -errno : ret;
}

static long call_poll(__u64 *seed)
{
	struct pollfd p = { fuzz_session(seed), POLLIN, 0 };
	int ret = poll(&p, 1, fuzz_below(seed, 3));

	return ret < 0 ? -errno : 0;
}

/* Anything at all. */
static long call_garbage(__u64 *seed)
{
	__u64 words[24];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = fuzz_one_in(seed, 2) ? 0 : sys_random(seed);
	/* A size at least is what most calls must have. */
	words[0] = fuzz_one_in(seed, 2) ? sizeof(struct splice_vm_info) :
					  fuzz_below(seed, 300);
	return svm_ioctl(fuzz_session(seed),
			  SPLICE_VM_INFO + fuzz_below(seed, 8),
			  call_pointer(seed, words));
}

const struct fuzz_op fuzz_calls[] = {
	{ .name = "open", .run = call_open },
	{ .name = "open", .run = call_open },
	{ .name = "close", .run = fuzz_call_close, .errors = { EAGAIN } },
	{ .name = "ATTACH", .run = call_attach, .errors = { EBUSY, EACCES } },
	{ .name = "TRACK", .run = call_track, .errors = { EBUSY, EACCES, EBADF } },
	{ .name = "INFO", .run = call_info },
	{ .name = "SCAN", .run = call_scan },
	{ .name = "SCAN", .run = call_scan },
	{ .name = "SCAN", .run = call_scan },
	{ .name = "EPOCH", .run = call_epoch },
	{ .name = "SEND", .run = call_send,
	  .errors = { EAGAIN, EPIPE, ECONNRESET, ENOTSOCK } },
	{ .name = "SEND", .run = call_send,
	  .errors = { EAGAIN, EPIPE, ECONNRESET, ENOTSOCK } },
	{ .name = "splice", .run = call_splice, .errors = { ENODATA } },
	{ .name = "splice", .run = call_splice, .errors = { ENODATA } },
	{ .name = "sendfile", .run = call_sendfile,
	  .errors = { EAGAIN, EPIPE, ECONNRESET, ENODATA, EOVERFLOW } },
	{ .name = "pread", .run = call_pread, .errors = { EBUSY } },
	{ .name = "pread", .run = call_pread, .errors = { EBUSY } },
	{ .name = "poll", .run = call_poll },
	{ .name = "garbage", .run = call_garbage,
	  .errors = { ENOTTY, EBUSY, EACCES, ENOTSOCK } },
	{ .name = "clear_refs", .run = fuzz_call_refs },
	{ .name = "clear_refs", .run = fuzz_call_refs },
	/* Before 6.7 there is none. */
	{ .name = "PAGEMAP_SCAN", .run = fuzz_call_protect, .errors = { ENOTTY } },
	{ .name = "kill", .run = fuzz_call_kill, .errors = { EAGAIN } },
	{ .name = "stop", .run = fuzz_call_stop },
	{ .name = "page out", .run = fuzz_call_page_out, .errors = { EAGAIN } },
	{ .name = "compact", .run = fuzz_call_compact, .errors = { EAGAIN } },
	{ .name = "new socket", .run = fuzz_call_sock_renew },
	{ .name = "pass", .run = fuzz_call_pass,
	  .errors = { EPIPE, ECONNRESET, EAGAIN } },
	{ .name = "fork", .run = fuzz_call_fork },
	{ .name = "change ourselves", .run = fuzz_call_change },
};

const size_t fuzz_nr_calls = ARRAY_SIZE(fuzz_calls);

void fuzz_thread_init(void)
{
	ksft_must(!pipe2(call_pipe, O_CLOEXEC | O_NONBLOCK));
}
