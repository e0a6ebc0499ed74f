// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "wire/tls_sandbox.h"

#define NOBODY	65534
#define POLLED	2	/* descriptors that one poll() looks at */

/* What GnuTLS, poll() loops and malloc() call. mmap() and mprotect() are here without PROT_EXEC. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int add_rules(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0);
	const struct scmp_arg_cmp no_signals = SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0);
	int ret = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_code);
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_code);
	/* a descriptor can send any signal to others of the same user, if it is told to */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL),
				       no_signals);
	return ret;
}

static int load_filter(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret = -ENOMEM;

	if (filter)
		ret = add_rules(filter);
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	errno = -ret;
	return ret ? error_errno(err, CODE_INTERNAL, NULL, "cannot filter the system calls of TLS") : 0;
}

/* No new descriptor, file, process, or core with keys. */
static void set_limits(void)
{
	static const int none[] = { RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_CORE };

	/* poll() takes no more descriptors than that; numbers below are in use */
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ POLLED, POLLED });
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		setrlimit(none[i], &(struct rlimit){ 0 });
}

/* In a user namespace without that user the process keeps its own, and the filter remains. */
static void drop_user(void)
{
	if (geteuid())
		return;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY))
		return;
	if (setresuid(NOBODY, NOBODY, NOBODY))
		return;
}

int tls_sandbox_enter(struct error *err)
{
	drop_user();
	set_limits();
	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot give up rights for TLS");
	return load_filter(err);
}
