// SPDX-License-Identifier: GPL-2.0
/* What calls act on, and what happens to it besides: targets, sessions, sockets. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "wp.h"

/* Numbers of their own, so that a number which is closed never becomes something else. */
#define SESSIONS	10
#define SESSION_FD	200
#define SOCKS		6
#define SOCK_FD		300

int fuzz_session(__u64 *seed)
{
	return SESSION_FD + fuzz_below(seed, SESSIONS);
}

int fuzz_sock(__u64 *seed)
{
	return SOCK_FD + 2 * fuzz_below(seed, SOCKS);
}

/* One of the targets, now and then ourselves. */
pid_t fuzz_target(__u64 *seed)
{
	pid_t pid = 0;

	if (!fuzz_one_in(seed, 6))
		pid = READ_ONCE(fuzz_shared->pids[fuzz_below(seed,
							     FUZZ_TARGETS)]);
	return pid ?: getpid();
}

long fuzz_call_close(__u64 *seed)
{
	if (!fuzz_one_in(seed, 4))
		return -EAGAIN;
	return close(fuzz_session(seed)) ? -errno : 0;
}

long fuzz_call_refs(__u64 *seed)
{
	int fd = sys_proc_open(fuzz_target(seed), "clear_refs", O_WRONLY);
	const char *what = fuzz_one_in(seed, 8) ? "1" : "4";
	long ret;

	if (fd < 0)
		return -ESRCH;
	ret = write(fd, what, 1) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Notifiers hear of all of the range, whoever's pages are protected in it, if any. */
long fuzz_call_protect(__u64 *seed)
{
	int fd = sys_proc_open(fuzz_target(seed), "pagemap", O_RDONLY);
	unsigned long addr = 0, len = 1UL << 46;
	long ret;

	if (fd < 0)
		return -ESRCH;
	if (fuzz_one_in(seed, 2))
		addr = fuzz_range(seed, &len);
	ret = wp_try_scan(fd, addr, len);
	close(fd);
	return ret;
}

long fuzz_call_kill(__u64 *seed)
{
	pid_t pid = fuzz_target(seed);

	if (pid == getpid() || !fuzz_one_in(seed, 16))
		return -EAGAIN;
	return kill(pid, SIGKILL) ? -errno : 0;
}

long fuzz_call_stop(__u64 *seed)
{
	pid_t pid = fuzz_target(seed);

	if (pid == getpid() || kill(pid, SIGSTOP))
		return -ESRCH;
	sys_sleep_us(fuzz_below(seed, 5000));
	return kill(pid, SIGCONT) ? -errno : 0;
}

long fuzz_call_page_out(__u64 *seed)
{
	unsigned long len, addr = fuzz_range(seed, &len);
	struct iovec vec = { (void *)addr, len };
	int pidfd = syscall(SYS_pidfd_open, fuzz_target(seed), 0);
	long ret;

	if (pidfd < 0)
		return -errno;
	ret = syscall(SYS_process_madvise, pidfd, &vec, 1,
		      fuzz_one_in(seed, 4) ? MADV_COLD : MADV_PAGEOUT, 0);
	close(pidfd);
	return ret < 0 ? -errno : 0;
}

long fuzz_call_compact(__u64 *seed)
{
	if (!fuzz_one_in(seed, 16))
		return -EAGAIN;
	return sys_write_file("/proc/sys/vm/compact_memory", "1");
}

/* A new pair in the place of one that others may be writing to. */
long fuzz_call_sock_renew(__u64 *seed)
{
	int at = fuzz_sock(seed), pair[2];
	sigset_t signals;

	/* To connect is no matter of a test, and must not end early. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	net_kinds[fuzz_below(seed, 2)].pair(pair);
	if (fuzz_one_in(seed, 2))
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	if (fuzz_one_in(seed, 8))
		shutdown(pair[fuzz_below(seed, 2)], SHUT_RDWR);
	dup3(pair[0], at, O_CLOEXEC);
	dup3(pair[1], at + 1, O_CLOEXEC);
	close(pair[0]);
	close(pair[1]);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	return 0;
}

/* A session goes through a socket, and maybe dies in there. */
long fuzz_call_pass(__u64 *seed)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = fuzz_session(seed);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(fuzz_sock(seed), &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ?
	       -errno : 0;
}

/* The child has all sessions of ours, of which it may be the last holder. */
long fuzz_call_fork(__u64 *seed)
{
	struct splice_vm_info info = { .size = sizeof(info) };
	char data[PAGE_SIZE];
	pid_t pid = fork();
	int i;

	if (pid < 0)
		return -errno;
	if (pid) {
		fuzz_call_close(seed);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < SESSIONS; i++) {
		svm_ioctl(SESSION_FD + i, SPLICE_VM_INFO, &info);
		pread(SESSION_FD + i, data, sizeof(data), FUZZ_ARENA);
	}
	_exit(0);
}

long fuzz_call_change(__u64 *seed)
{
	fuzz_change(seed);
	return 0;
}

void fuzz_world_init(__u64 seed)
{
	int i;

	for (i = 0; i < SOCKS * 8; i++)
		fuzz_call_sock_renew(&seed);
}

size_t fuzz_drain(void)
{
	static unsigned char data[256 * 1024];
	size_t bytes = 0;
	ssize_t got;
	int i;

	for (i = 0; i < SOCKS; i++) {
		got = read(SOCK_FD + 2 * i + 1, data, sizeof(data));
		if (got > 0)
			bytes += got;
	}
	return bytes;
}
