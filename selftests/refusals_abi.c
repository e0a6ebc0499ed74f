// SPDX-License-Identifier: GPL-2.0
/* Sizes, flags, numbers, addresses and pointers that the module must refuse, and the errno. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define KERNEL_ADDR	0xffff888000000000ULL
#define TASK_END	0x00007ffffffff000ULL
#define NR_RUNS		1025	/* one more than max_runs of today */

static struct target target;
static unsigned long mapped;	/* 16 pages of it */
static int sock;
static void *abi_bad = (void *)8;
static struct splice_vm_run runs[NR_RUNS], results[NR_RUNS];

/* Big enough for all structs and for what a newer caller would add. */
union abi_arg {
	__u32 size;
	struct {
		__u32 size;
		__u32 flags;
	} head;
	struct splice_vm_info info;
	struct splice_vm_attach attach;
	struct splice_vm_send send;
	struct splice_vm_track track;
	struct splice_vm_epoch epoch;
	struct splice_vm_scan scan;
	struct splice_vm_uffd uffd;
	unsigned char bytes[8192];
};

static void abi_info(union abi_arg *arg)
{
	arg->info = (struct splice_vm_info){ .size = sizeof(arg->info) };
}

static void abi_attach(union abi_arg *arg)
{
	arg->attach = (struct splice_vm_attach){
		.size = sizeof(arg->attach),
		.mem_fd = sys_proc_open(target.pid, "mem", O_RDWR),
	};
}

static void abi_send(union abi_arg *arg)
{
	runs[0] = (struct splice_vm_run){ mapped, 1, 0 };
	arg->send = (struct splice_vm_send){
		.size = sizeof(arg->send),
		.sock_fd = sock,
		.nr_runs = 1,
		.runs = (unsigned long)runs,
		.results = (unsigned long)results,
		.nr_results = 1,
	};
}

static void abi_track(union abi_arg *arg)
{
	arg->track = (struct splice_vm_track){
		.size = sizeof(arg->track),
		.tracker = SPLICE_VM_TRACKER_AUTO,
	};
}

static void abi_scan(union abi_arg *arg)
{
	arg->scan = (struct splice_vm_scan){
		.size = sizeof(arg->scan),
		.flags = SPLICE_VM_SCAN_POPULATED,
		.end = SVM_END,
		.runs = (unsigned long)results,
		.nr_runs = 10,
	};
}

static void abi_epoch(union abi_arg *arg)
{
	runs[0] = (struct splice_vm_run){ mapped, 1, 0 };
	arg->epoch = (struct splice_vm_epoch){
		.size = sizeof(arg->epoch),
		.start = mapped,
		.end = mapped + PMD_SIZE,
		.runs = (unsigned long)runs,
		.nr_runs = 1,
	};
}

static void abi_uffd(union abi_arg *arg)
{
	arg->uffd = (struct splice_vm_uffd){ .size = sizeof(arg->uffd) };
}

static const struct {
	const char *name;
	unsigned long cmd;
	void (*make)(union abi_arg *arg);
	__u32 flags;		/* all there are */
	int grown;		/* bytes, since the first version of the struct */
} abi_ioctls[] = {
	{ "INFO", SPLICE_VM_INFO, abi_info, 0,
	  sizeof(struct splice_vm_info) -
	  offsetof(struct splice_vm_info, pages_queued) },
	{ "ATTACH", SPLICE_VM_ATTACH, abi_attach, 0, 0 },
	{ "SEND", SPLICE_VM_SEND, abi_send, 0, 0 },
	{ "TRACK", SPLICE_VM_TRACK, abi_track, 0, 0 },
	{ "SCAN", SPLICE_VM_SCAN, abi_scan, 7, 0 },
	{ "EPOCH", SPLICE_VM_EPOCH, abi_epoch, 1, 0 },
	{ "UFFD", SPLICE_VM_UFFD, abi_uffd, 0, 0 },
};

/* A session in which the ioctl works: all but ATTACH want one that is attached. */
static int abi_session(unsigned int i)
{
	int mem_fd, fd = svm_open_device();

	if (abi_ioctls[i].cmd == SPLICE_VM_ATTACH)
		return fd;
	mem_fd = sys_proc_open(target.pid, "mem", O_RDWR);
	ksft_must(mem_fd >= 0 && !svm_attach(fd, mem_fd, 0));
	close(mem_fd);
	if (abi_ioctls[i].cmd == SPLICE_VM_EPOCH)
		ksft_must(!svm_track_with(fd, SPLICE_VM_TRACKER_EVENTS));
	return fd;
}

/* The ioctl with @extra bytes more than today, @last of which is the last. */
static void abi_test_one(unsigned int i, int extra, unsigned char last,
			 __u32 flags, int want, const char *what)
{
	int fd = abi_session(i);
	union abi_arg arg, before;

	memset(&arg, 0, sizeof(arg));
	abi_ioctls[i].make(&arg);
	arg.head.size += extra;
	arg.head.flags |= flags;
	if (last)
		arg.bytes[arg.head.size - 1] = last;
	before = arg;
	ksft_test_value(svm_ioctl(fd, abi_ioctls[i].cmd, &arg), want,
			"%s: %s\n", abi_ioctls[i].name, what);
	if (want)
		ksft_test_result(!memcmp(&arg, &before, sizeof(arg)),
				 "%s: %s: nothing is written\n",
				 abi_ioctls[i].name, what);
	if (abi_ioctls[i].cmd == SPLICE_VM_ATTACH)
		close(arg.attach.mem_fd);
	close(fd);
}

static void abi_test_sizes(void)
{
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(abi_ioctls); i++) {
		union abi_arg arg;
		int size;

		memset(&arg, 0, sizeof(arg));
		abi_ioctls[i].make(&arg);
		size = arg.size;
		if (abi_ioctls[i].cmd == SPLICE_VM_ATTACH)
			close(arg.attach.mem_fd);
		abi_test_one(i, 0, 0, 0, 0, "as documented");
		abi_test_one(i, -abi_ioctls[i].grown, 0, 0, 0, "first version");
		abi_test_one(i, -abi_ioctls[i].grown - 1, 0, 0, -EINVAL,
			     "first version less 1");
		abi_test_one(i, -size, 0, 0, -EINVAL, "size 0");
		abi_test_one(i, 4 - size, 0, 0, -EINVAL, "size 4");
		abi_test_one(i, 1, 0, 0, 0, "size and 1 zero");
		abi_test_one(i, 64, 0, 0, 0, "size and 64 zeros");
		abi_test_one(i, 1, 1, 0, -E2BIG, "size and 1 garbage");
		abi_test_one(i, 64, 1, 0, -E2BIG, "size and garbage at 64");
		for (bit = 0; bit < 32; bit += 31) {
			if (!(abi_ioctls[i].flags & (1U << bit)))
				abi_test_one(i, 0, 0, 1U << bit, -EOPNOTSUPP,
					     "unknown flag");
		}
	}
}

static void abi_test_numbers(void)
{
	int fd = svm_open_device();
	struct splice_vm_info info = { .size = sizeof(info) };
	unsigned int i;

	for (i = 0x87; i < 0x90; i++)
		ksft_test_value(svm_ioctl(fd, _IO(SPLICE_VM_IOC_TYPE, i),
					  &info), -ENOTTY,
				"unknown ioctl %#x\n", i);
	ksft_test_value(svm_ioctl(fd, _IO(0xB8, 0x80), &info), -ENOTTY,
			"ioctl of another type\n");
	ksft_test_value(svm_ioctl(fd, _IOR(SPLICE_VM_IOC_TYPE, 0x80, int),
				  &info), -ENOTTY,
			"ioctl of another direction\n");
	for (i = 0; i < ARRAY_SIZE(abi_ioctls); i++)
		ksft_test_value(svm_ioctl(fd, abi_ioctls[i].cmd, NULL), -EFAULT,
				"%s: NULL\n", abi_ioctls[i].name);
	close(fd);
}

static void abi_test_order(void)
{
	int fd = svm_open_device(), pipe_fds[2];
	union abi_arg arg;
	char byte;

	ksft_must(!pipe(pipe_fds));
	abi_send(&arg);
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_SEND, &arg), -ENOTCONN,
			"SEND before ATTACH\n");
	abi_track(&arg);
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_TRACK, &arg), -ENOTCONN,
			"TRACK before ATTACH\n");
	abi_scan(&arg);
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_SCAN, &arg), -ENOTCONN,
			"SCAN before ATTACH\n");
	ksft_test_value(pread(fd, &byte, 1, mapped) < 0 ? -errno : 0, -ENOTCONN,
			"pread before ATTACH\n");
	ksft_test_value(svm_splice(fd, pipe_fds[1], mapped, PAGE_SIZE),
			-ENOTCONN, "splice before ATTACH\n");
	abi_attach(&arg);
	ksft_must(!svm_ioctl(fd, SPLICE_VM_ATTACH, &arg));
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_ATTACH, &arg), -EBUSY,
			"ATTACH twice\n");
	close(arg.attach.mem_fd);
	abi_scan(&arg);
	arg.scan.flags = SPLICE_VM_SCAN_TRACKED;
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_SCAN, &arg), -ENOTCONN,
			"SCAN TRACKED before TRACK\n");
	ksft_must(!svm_track(fd));
	ksft_test_value(svm_track(fd), -EBUSY, "TRACK twice\n");
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* One field of one ioctl set to something. */
#define ABI_BAD(fd, _make, _cmd, _field, _value, _want)			\
	do {								\
		union abi_arg _arg;					\
									\
		_make(&_arg);						\
		_arg._field = _value;					\
		ksft_test_value(svm_ioctl(fd, _cmd, &_arg), _want,	\
				"%s = %s\n", #_field, #_value);		\
	} while (0)

static void abi_test_fields(void)
{
	int fd = abi_session(2);

	ABI_BAD(fd, abi_track, SPLICE_VM_TRACK, track.uffd_fd, 1, -EINVAL);
	ABI_BAD(fd, abi_track, SPLICE_VM_TRACK, track.tracker, 63, -EOPNOTSUPP);
	ABI_BAD(fd, abi_track, SPLICE_VM_TRACK, track.tracker, 64, -EOPNOTSUPP);
	ABI_BAD(fd, abi_uffd, SPLICE_VM_UFFD, uffd.reserved, 1, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.reserved, 1, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.nr_runs, 0, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.nr_runs, NR_RUNS, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.nr_runs, ~0U, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.nr_results, 0, -EINVAL);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.runs, 8, -EFAULT);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.runs, KERNEL_ADDR, -EFAULT);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.results, 8, -EFAULT);
	ABI_BAD(fd, abi_send, SPLICE_VM_SEND, send.results, KERNEL_ADDR,
		-EFAULT);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.flags, 0, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.flags, 3, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.nr_runs, 0, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.start, 1, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.end, 4097, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.end, 0, -EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.start, SVM_END,
		-EINVAL);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.start, KERNEL_ADDR, 0);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.runs, 8, -EFAULT);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.runs, KERNEL_ADDR, -EFAULT);
	close(fd);
}

static int abi_track_events(int fd, int uffd_fd)
{
	struct splice_vm_track arg = {
		.size = sizeof(arg),
		.tracker = SPLICE_VM_TRACKER_EVENTS,
		.uffd_fd = uffd_fd,
	};

	return svm_ioctl(fd, SPLICE_VM_TRACK, &arg);
}

static void abi_test_epoch_run(int fd, __u64 addr, __u32 nr, __u32 flags,
			       const char *name)
{
	union abi_arg arg;

	abi_epoch(&arg);
	arg.epoch.nr_runs = 2;
	runs[1] = (struct splice_vm_run){ addr, nr, flags };
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_EPOCH, &arg), -EINVAL,
			"EPOCH: %s\n", name);
}

static void abi_test_events(void)
{
	int fd = abi_session(2);

	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.flags, 0, -ENOTCONN);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.flags,
		SPLICE_VM_SCAN_MAPPINGS, -ENOTCONN);
	ksft_must(!svm_track(fd));
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.flags, 0, -EOPNOTSUPP);
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.flags,
		SPLICE_VM_SCAN_MAPPINGS, -EOPNOTSUPP);
	ksft_must(!svm_track_with(fd, SPLICE_VM_TRACKER_NONE));
	ksft_test_value(abi_track_events(fd, 9999), -EBADF,
			"EVENTS: uffd_fd is no descriptor\n");
	ksft_test_value(abi_track_events(fd, fd), -EINVAL,
			"EVENTS: uffd_fd is no userfaultfd\n");
	ksft_must(!abi_track_events(fd, -1));
	ksft_test_value(abi_track_events(fd, -1), 0, "EVENTS again\n");
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.reserved, 1, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.nr_runs,
		SPLICE_VM_EPOCH_RUNS + 1, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.start, 1, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.start, SVM_END, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.end, 4097, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.end, 0, -EINVAL);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.runs, 8, -EFAULT);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.runs, KERNEL_ADDR,
		-EFAULT);
	abi_test_epoch_run(fd, mapped, 1, 0, "runs overlap");
	abi_test_epoch_run(fd, mapped + PAGE_SIZE, 0, 0, "no pages");
	abi_test_epoch_run(fd, mapped + PAGE_SIZE + 1, 1, 0, "unaligned");
	abi_test_epoch_run(fd, mapped + PAGE_SIZE, 1, 1, "flags");
	abi_test_epoch_run(fd, mapped + PAGE_SIZE, 512, 0, "beyond the end");
	abi_test_epoch_run(fd, mapped + PAGE_SIZE, ~0U, 0, "far beyond");
	abi_test_epoch_run(fd, ~0xfffULL, 1, 0, "overflow");
	ABI_BAD(fd, abi_scan, SPLICE_VM_SCAN, scan.flags,
		SPLICE_VM_SCAN_MAPPINGS, 0);
	ABI_BAD(fd, abi_epoch, SPLICE_VM_EPOCH, epoch.end, SVM_END, 0);
	close(fd);
}

static void abi_test_run(int fd, __u64 addr, __u32 nr, __u32 flags, int want,
			 const char *name)
{
	union abi_arg arg;

	abi_send(&arg);
	/* The second of two: the first is good, and must not be sent either. */
	arg.send.nr_runs = 2;
	arg.send.nr_results = 2;
	runs[1] = (struct splice_vm_run){ addr, nr, flags };
	ksft_test_value(svm_ioctl(fd, SPLICE_VM_SEND, &arg), want,
			"SEND of %s\n", name);
}

static void abi_test_runs(void)
{
	int fd = abi_session(2);
	struct splice_vm_info info;

	abi_test_run(fd, mapped + 1, 1, 0, -EINVAL, "unaligned");
	abi_test_run(fd, mapped, 0, 0, -EINVAL, "no pages");
	abi_test_run(fd, mapped, 1, SPLICE_VM_RUN_DIRTY, -EINVAL, "flags");
	abi_test_run(fd, mapped, 1, 1U << 31, -EINVAL, "unknown flags");
	abi_test_run(fd, KERNEL_ADDR, 1, 0, -EFAULT, "a kernel address");
	abi_test_run(fd, TASK_END, 1, 0, -EFAULT, "the end of user space");
	abi_test_run(fd, TASK_END - PAGE_SIZE, 2, 0, -EFAULT,
		     "a run out of user space");
	abi_test_run(fd, 0x8000000000000ULL, 1, 0, -EFAULT,
		     "a non-canonical address");
	abi_test_run(fd, mapped, ~0U, 0, -EFAULT, "all the pages there are");
	abi_test_run(fd, -4096ULL, 2, 0, -EFAULT, "a run that wraps");
	svm_info(fd, &info);
	ksft_test_value(info.pages_sent, 0, "of refused runs nothing is sent\n");
	/* It ends early, for want of room for results. */
	abi_test_run(fd, mapped, 100000, 0, 0, "pages beyond the mapping");
	close(fd);
}

static void abi_test_files(void)
{
	int fd = abi_session(2), pipe_fds[2];
	unsigned int i;
	ssize_t got;
	char byte;
	static const struct {
		const char *name;
		__u64 addr;
		size_t len;
		int splice;
		int pread;
	} cases[] = {
		{ "a kernel address", KERNEL_ADDR, 4096, -EINVAL, -EINVAL },
		{ "the end of user space", TASK_END, 4096, -EFAULT, -EFAULT },
		{ "a non-canonical address", 0x8000000000000ULL, 4096, -EFAULT,
		  -EFAULT },
		{ "address 0", 0, 4096, -EFAULT, -EFAULT },
		{ "no bytes", 0, 0, 0, 0 },
	};

	ksft_must(!pipe(pipe_fds));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ksft_test_value(svm_splice(fd, pipe_fds[1], cases[i].addr,
					   cases[i].len), cases[i].splice,
				"splice of %s\n", cases[i].name);
		got = pread(fd, &byte, !!cases[i].len, cases[i].addr);
		ksft_test_value(got < 0 ? -errno : got, cases[i].pread,
				"pread of %s\n", cases[i].name);
	}
	ksft_test_value(svm_splice(fd, pipe_fds[1], mapped + 1, PAGE_SIZE),
			-EINVAL, "splice of an unaligned address\n");
	ksft_test_value(svm_splice(fd, pipe_fds[1], mapped, 100), -EINVAL,
			"splice of an unaligned length\n");
	ksft_test_value(pread(fd, READ_ONCE(abi_bad), 1,
			      mapped) < 0 ? -errno : 0,
			-EFAULT, "pread to a bad address\n");
	ksft_test_value(write(fd, &byte, 1) < 0 ? -errno : 0, -EBADF,
			"write\n");
	close(fd);
	fd = open(SPLICE_VM_DEVICE, O_RDWR);
	ksft_must(fd >= 0);
	ksft_test_value(write(fd, &byte, 1) < 0 ? -errno : 0, -EINVAL,
			"write, though opened for writing\n");
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	int pair[2];

	ksft_print_header();
	target_start(&target);
	mapped = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, 16 * PAGE_SIZE, 1);
	net_unix_pair(pair);
	sock = pair[0];
	/* SENDs that work must not fill it. */
	if (!fork()) {
		char data[4096];

		close(pair[0]);
		while (read(pair[1], data, sizeof(data)) > 0)
			;
		_exit(0);
	}
	close(pair[1]);
	abi_test_sizes();
	abi_test_numbers();
	abi_test_order();
	abi_test_fields();
	abi_test_events();
	abi_test_runs();
	abi_test_files();
	/* ksft_test_value() compares: a wrong errno is a failure. */
	ksft_test_result(svm_ioctl(-1, SPLICE_VM_INFO, NULL) != -ENOTTY,
			 "control: another errno is told apart\n");
	close(sock);
	target_stop(&target);
	ksft_finished();
}
