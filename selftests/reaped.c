// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel takes the memory of a killed task away while the task cannot end: the OOM reaper does,
 * and process_mrelease(). No page of it may be sent or read as zeros, or as the file's that a private
 * mapping is of. The freezer of cgroup v1 keeps the task.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frozen.h"
#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES		64UL
#define LEN		(PAGES * PAGE_SIZE)
#define SEED		23UL

static int take_away(pid_t pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), ret;

	ksft_must(pidfd >= 0);
	ksft_must(!kill(pid, SIGKILL));
	ret = syscall(SYS_process_mrelease, pidfd, 0);
	close(pidfd);
	return ret;
}

/* Return: what SEND says of all pages, as flags; 0: not one thing */
static __u32 send_says(struct svm *svm, unsigned long addr)
{
	struct splice_vm_run run = { addr, PAGES, 0 }, out[PAGES];
	struct splice_vm_send send = {
		.size = sizeof(send), .runs = (uintptr_t)&run, .nr_runs = 1,
		.results = (uintptr_t)out, .nr_results = PAGES, .cookie = 1,
	};
	__u32 flags, i;
	int pair[2];

	ksft_must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send.sock_fd = pair[0];
	ksft_must(svm_ioctl(svm->fd, SPLICE_VM_SEND, &send) >= 0);
	close(pair[0]);
	close(pair[1]);
	flags = send.nr_results ? out[0].flags : 0;
	for (i = 1; i < send.nr_results; i++)
		if (out[i].flags != flags)
			return 0;
	return flags;
}

static bool is_read(struct svm *svm, unsigned long addr)
{
	char byte;
	ssize_t n = pread(svm->fd, &byte, 1, addr);

	ksft_must(n == 1 || errno == EFAULT);
	return n == 1;
}

/* Private pages of a file, all of them written. */
static unsigned long map_file(struct target *target)
{
	int fd = memfd_create("reaped", 0);
	unsigned long addr;
	char path[64];

	ksft_must(fd >= 0 && !ftruncate(fd, LEN));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	strcpy(target->shared, path);
	addr = target_sys(target, SYS_openat, AT_FDCWD, (unsigned long)target->shared, O_RDWR);
	ksft_must((long)addr >= 0);
	addr = target_sys(target, SYS_mmap, 0, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, addr, 0);
	ksft_must(addr < -4096UL);
	close(fd);
	target_fill(target, addr, LEN, SEED);
	return addr;
}

static void test_gone(struct svm *svm, unsigned long addr, const char *what)
{
	ksft_test_result(!is_read(svm, addr), "%s: it cannot be read\n", what);
	ksft_test_result(!is_read(svm, addr + PAGE_SIZE), "%s: nor what is beside it\n", what);
	ksft_test_result(send_says(svm, addr) == SPLICE_VM_RUN_GONE, "%s: SEND says that it is gone\n",
			 what);
}

int main(void)
{
	struct target target;
	unsigned long anon, file;
	struct svm svm;

	ksft_print_header();
	target_start(&target);
	anon = target_map(&target, LEN, MADV_NOHUGEPAGE);
	file = map_file(&target);
	svm_open(&svm, target.pid, false);
	ksft_test_result(send_says(&svm, anon) == SPLICE_VM_RUN_IS_ZERO, "a hole is sent as zeros\n");
	ksft_test_result(is_read(&svm, file), "a page of a file is read\n");
	target_fill(&target, anon, LEN, SEED);
	frozen_mount();
	ksft_test_result(frozen_freeze(target.pid), "the task is frozen\n");
	ksft_test_value(take_away(target.pid), 0, "its memory is taken away\n");
	test_gone(&svm, file, "a private page of a file");
	test_gone(&svm, anon, "anonymous memory");
	svm_close(&svm);
	frozen_thaw();
	target_stop(&target);
	frozen_unmount();
	ksft_finished();
}
