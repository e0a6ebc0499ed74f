// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "criu/sockopts.h"

#ifdef __x86_64__
#define ARCH	AUDIT_ARCH_X86_64
#else
#define ARCH	AUDIT_ARCH_AARCH64
#endif

/* The low half of an argument: both machines are little-endian. */
#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(what)	BPF_STMT(BPF_RET | BPF_K, what)

/* Return: errno of the kernel's own answer, 0 when there is one */
static int refusal(int fd, int option)
{
	socklen_t bytes = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) ? errno : 0;
}

bool sockopts_refused(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = fd >= 0 && refusal(fd, SO_PASSCRED) == EOPNOTSUPP;

	if (fd >= 0)
		close(fd);
	return refused;
}

int sockopts_filter(void)
{
	struct sock_filter steps[] = {
		LOAD(arch), IS(ARCH, 0, 7),
		LOAD(nr), IS(SYS_getsockopt, 0, 5),
		LOAD(args[1]), IS(SOL_SOCKET, 0, 3),
		LOAD(args[2]), IS(SO_PASSCRED, 2, 0), IS(SO_PASSSEC, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog prog = { .len = sizeof(steps) / sizeof(*steps), .filter = steps };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       &prog);
}

/* Return: true when the kernel has no answer to the question, and ours is in its place */
static bool answered(pid_t pid, const struct seccomp_data *asked)
{
	struct iovec local, remote;
	int pidfd = pidfd_open(pid, 0), fd, off = 0;
	bool refused;

	fd = pidfd >= 0 ? pidfd_getfd(pidfd, asked->args[0], 0) : -1;
	refused = fd >= 0 && refusal(fd, asked->args[2]) == EOPNOTSUPP;
	if (fd >= 0)
		close(fd);
	if (pidfd >= 0)
		close(pidfd);
	local = (struct iovec){ &off, sizeof(off) };
	remote = (struct iovec){ (void *)asked->args[3], sizeof(off) };
	return refused && process_vm_writev(pid, &local, 1, &remote, 1, 0) == sizeof(off);
}

void sockopts_answer(int listener, pid_t pid)
{
	struct seccomp_notif_resp resp = { 0 };
	struct seccomp_notif asked = { 0 };

	/* who asked may have died meanwhile */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked))
		return;
	resp.id = asked.id;
	/* a helper of CRIU's that it started: the kernel knows best */
	if (asked.pid != (uint32_t)pid || !answered(pid, &asked.data))
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}
