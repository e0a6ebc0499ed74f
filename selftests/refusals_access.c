// SPDX-License-Identifier: GPL-2.0
/*
 * The right to attach: ATTACH takes a /proc/PID/mem descriptor, which the kernel gives or refuses,
 * and no other descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define YAMA	"/proc/sys/kernel/yama/ptrace_scope"

static struct target target;

/* ATTACH with @fd, which is closed. */
static void access_test_fd(int fd, int want, const char *name)
{
	int dev = svm_open_device();
	struct splice_vm_info info;

	ksft_test_value(svm_attach(dev, fd, 0), want, "ATTACH: %s\n", name);
	svm_info(dev, &info);
	ksft_test_value(info.attached, !want, "INFO agrees: %s\n", name);
	close(dev);
	if (fd >= 0)
		close(fd);
}

static void access_test_descriptors(void)
{
	static const char * const names[] = {
		"pagemap", "maps", "smaps", "clear_refs", "auxv", "environ",
		"stat", "exe",
	};
	int pipe_fds[2];
	size_t i;

	ksft_must(!pipe(pipe_fds));
	close(pipe_fds[1]);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		int flags = names[i][0] == 'c' ? O_WRONLY : O_RDONLY;
		int fd = sys_proc_open(target.pid, names[i], flags);

		ksft_must(fd >= 0);
		access_test_fd(fd, -EINVAL, names[i]);
	}
	access_test_fd(-1, -EBADF, "-1");
	access_test_fd(9999, -EBADF, "a closed descriptor");
	access_test_fd(pipe_fds[0], -EINVAL, "a pipe");
	access_test_fd(open("/dev/zero", O_RDWR), -EINVAL, "/dev/zero");
	access_test_fd(open("/dev/mem", O_RDWR), -EINVAL, "/dev/mem");
	access_test_fd(open("/", O_RDONLY), -EINVAL, "a directory");
	access_test_fd(eventfd(0, 0), -EINVAL, "an eventfd");
	access_test_fd(svm_open_device(), -EINVAL, "a session");
	access_test_fd(memfd_create("mem", 0), -EINVAL, "a memfd named mem");
	access_test_fd(syscall(SYS_pidfd_open, target.pid, 0), -EINVAL,
		       "a pidfd");
	access_test_fd(sys_proc_open(target.pid, "mem", O_RDONLY | O_PATH),
		       -EBADF, "mem, opened with O_PATH");
	access_test_fd(sys_proc_open(target.pid, "mem", O_WRONLY), -EACCES,
		       "mem, only for writing");
	access_test_fd(sys_proc_open(target.pid, "mem", O_RDONLY), 0,
		       "mem, only for reading");
	access_test_fd(sys_proc_open(target.pid, "mem", O_RDWR), 0, "mem");
	access_test_fd(sys_proc_open(getpid(), "mem", O_RDWR), 0, "our own");
}

static void access_test_modes(void)
{
	int fd = sys_proc_open(target.pid, "mem", O_RDONLY);
	int dev = svm_open_device();

	ksft_must(!svm_attach(dev, fd, 0));
	ksft_test_value(svm_track(dev), -EACCES,
			"TRACK wants a descriptor for writing\n");
	close(dev);
	dev = svm_open_device();
	ksft_test_value(svm_attach(dev, fd, 1023), -EINVAL,
			"a cap that is too small\n");
	ksft_test_value(svm_attach(dev, fd, 1024), 0, "the smallest cap\n");
	close(dev);
	close(fd);
}

/* As @uid, mem of @pid, then ATTACH. Return: 0 or -errno */
static int access_try(uid_t uid, pid_t pid)
{
	int fd, dev = svm_open_device();

	sys_become(uid);
	fd = sys_proc_open(pid, "mem", O_RDONLY);
	if (fd < 0)
		return fd;
	return svm_attach(dev, fd, 0);
}

static int access_try_forked(uid_t uid, pid_t pid)
{
	int status;
	pid_t child = fork();

	ksft_must(child >= 0);
	if (!child)
		_exit(-access_try(uid, pid));
	ksft_must(waitpid(child, &status, 0) == child);
	ksft_must(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static long access_become_fn(const unsigned long *args)
{
	sys_become(args[0]);
	return 0;
}

static long access_dumpable_fn(const unsigned long *args)
{
	return prctl(PR_SET_DUMPABLE, args[0]);
}

static void access_test_rights(void)
{
	struct target other;
	int dev;

	target_start(&other);
	target_do(&other, access_become_fn, 1000);
	ksft_must(!sys_write_file(YAMA, "0"));
	ksft_test_value(access_try_forked(1000, other.pid), 0,
			"control: own task, Yama off\n");
	ksft_test_value(access_try_forked(1001, other.pid), -EACCES,
			"another user's task\n");
	ksft_test_value(access_try_forked(1000, target.pid), -EACCES,
			"root's task\n");
	target_do(&other, access_dumpable_fn, 0);
	ksft_test_value(access_try_forked(1000, other.pid), -EACCES,
			"own task, not dumpable\n");
	target_do(&other, access_dumpable_fn, 1);
	ksft_must(!sys_write_file(YAMA, "1"));
	ksft_test_value(access_try_forked(1000, other.pid), -EACCES,
			"own task, not a child, Yama ptrace_scope 1\n");
	ksft_test_value(access_try_forked(0, other.pid), 0,
			"root, Yama ptrace_scope 1\n");
	ksft_must(!sys_write_file(YAMA, "0"));
	target_stop(&other);

	/* The device itself is for root, until an administrator says otherwise. */
	dev = fork();
	ksft_must(dev >= 0);
	if (!dev) {
		sys_become(1000);
		_exit(open(SPLICE_VM_DEVICE, O_RDONLY) < 0 ? errno : 0);
	}
	waitpid(dev, &dev, 0);
	ksft_test_value(-WEXITSTATUS(dev), -EACCES, "the device, not root\n");
}

/* A descriptor that root opened is a right that can be handed on. */
static void access_test_handed_on(void)
{
	int fd = sys_proc_open(target.pid, "mem", O_RDONLY), status;
	int dev = svm_open_device();
	pid_t child = fork();

	ksft_must(child >= 0 && fd >= 0);
	if (!child) {
		sys_become(1001);
		_exit(-svm_attach(dev, fd, 0));
	}
	waitpid(child, &status, 0);
	ksft_test_value(status, 0, "a descriptor that was handed on\n");
	close(fd);
	close(dev);
}

int main(void)
{
	ksft_print_header();
	target_start(&target);
	access_test_descriptors();
	access_test_modes();
	access_test_rights();
	access_test_handed_on();
	target_stop(&target);
	ksft_finished();
}
