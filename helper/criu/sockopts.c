// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "criu/sockopts.h"

/* Return: 0 when the kernel answers getsockopt(), else its errno */
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

/* Compare the lower halves of the registers only: for the kernel, level and option are an int. */
static int ask_for(scmp_filter_ctx filter, int option)
{
	return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(getsockopt), 2,
				SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, SOL_SOCKET),
				SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)option));
}

int sockopts_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int ret = -ENOMEM;

	if (filter)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	/* no NO_NEW_PRIVS: CRIU runs programs that may need the capabilities of their files */
	if (!ret)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	if (!ret)
		ret = ask_for(filter, SO_PASSCRED);
	if (!ret)
		ret = ask_for(filter, SO_PASSSEC);
	if (!ret)
		ret = seccomp_load(filter);
	if (!ret)
		ret = seccomp_notify_fd(filter);
	seccomp_release(filter);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* Return: true when the kernel refuses the question, and "off" was stored as the answer */
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
	struct seccomp_notif_resp *resp = NULL;
	struct seccomp_notif *asked = NULL;

	/* fails when the process that asked has died meanwhile */
	if (!seccomp_notify_alloc(&asked, &resp) && !seccomp_notify_receive(listener, asked)) {
		resp->id = asked->id;
		/* the kernel answers programs that CRIU started */
		if (asked->pid != (uint32_t)pid || !answered(pid, &asked->data))
			resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		seccomp_notify_respond(listener, resp);
	}
	seccomp_notify_free(asked, resp);
}
