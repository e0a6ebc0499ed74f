// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "base/io.h"
#include "criu/criu.h"
#include "dest/nsinit.h"
#include "os/cgroup_ns.h"
#include "os/ns_pids.h"
#include "os/proc.h"

#define START_TIMEOUT_MS	10000
#define COMMIT_TIMEOUT_MS	5000
#define KILL_TIMEOUT_MS		10000
#define LOW_PID			1000	/* CRIU's own processes have pids below it */

/*
 * A message between keeper and init, in both directions; the keeper sends an empty @err. With a
 * descriptor it is nsinit_lend(), whose answer has a number; without one it is nsinit_commit().
 */
struct nsinit_msg {
	struct error err;
	int number;
};

/* Give CRIU's processes high pids, so that the low pid of a program stays free. */
static void avoid_pid(pid_t task_pid)
{
	char text[32] = "";
	long pid_max = 32768;
	int fd;

	/* the first process of a namespace of its own gets its pid there */
	if (task_pid > LOW_PID || task_pid == NS_INIT_PID)
		return;
	fd = open("/proc/sys/kernel/pid_max", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			pid_max = strtol(text, NULL, 10);
		close(fd);
	}
	snprintf(text, sizeof(text), "%ld", pid_max - LOW_PID);
	/* when this fails CRIU's restore says that the pid is taken */
	if (io_write_text("/proc/sys/kernel/ns_last_pid", text))
		return;
}

/*
 * As the machine's own is mounted. A user namespace that CRIU makes cannot take away a flag which the mount had before,
 * and the source's program has the flags of the /proc there.
 */
static unsigned long proc_flags(void)
{
	struct statvfs fs;

	return statvfs("/proc", &fs) ? MS_NOSUID | MS_NODEV | MS_NOEXEC :
	       fs.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC);
}

static int init_mounts(struct error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot make the mounts of the new namespace private");
	if (mount("proc", "/proc", "proc", proc_flags(), NULL))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot mount /proc in the new namespace");
	return 0;
}

/* Close all inherited descriptors but @sock. CRIU opens its files by path. */
static int init_descriptors(int sock, struct error *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot open /dev/null");
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (sock > 3)
		close_range(3, sock - 1, 0);
	close_range(sock + 1, ~0U, 0);
	return 0;
}

static void criu_main(int fd, int our_fd, const struct nsinit_plan *plan,
		      const struct cgroup *group)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* the tasks inherit the namespace, and go to the groups that it begins with */
	if (plan->own_cgroup_ns ? cgroup_ns_enter(group) : cgroup_add(group, 0))
		_exit(127);
	/* the program must not see the helper's mount of cgroup v2 */
	cgroup_hide(group);
	fcntl(fd, F_SETFD, 0);
	/* CRIU keeps this end until it is dead: a hang-up would make it release the tasks */
	fcntl(our_fd, F_SETFD, 0);
	criu_swrk_exec(fd);
	_exit(127);
}

static int init_criu(const struct nsinit_plan *plan, const struct cgroup *group, int *rpc_fd,
		     pid_t *criu, struct error *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make CRIU's RPC socket");
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot fork for CRIU");
	}
	if (!pid)
		criu_main(pair[1], pair[0], plan, group);
	close(pair[1]);
	*rpc_fd = pair[0];
	*criu = pid;
	return 0;
}

/**
 * struct init_tasks - the children whose end the init notes
 * @criu: pid of CRIU; -1 when CRIU has ended
 * @root: pid of the program's first task in its own namespace
 * @signal: signal that killed the first task; 0: none did
 */
struct init_tasks {
	pid_t criu, root;
	int signal;
};

/*
 * Return: the child @pid, which has ended and is not reaped, is the program's first task. With a namespace of its
 * own it has another pid here.
 */
static bool is_root(const struct init_tasks *tasks, pid_t pid)
{
	struct error ignored = { 0 };
	struct proc_status status;

	if (tasks->root != NS_INIT_PID)
		return pid == tasks->root;
	return !proc_status_read(pid, &status, &ignored) && status.ns_pid == NS_INIT_PID;
}

/*
 * Reap ended children. A killed CRIU leaves half-made tasks, which wait for CRIU for ever and hold
 * its end of the RPC socket. So the init exits too: the kernel kills the tasks, and the helper sees
 * the hang-up.
 * Return: false when no process is left in the namespace
 */
static bool init_reap(struct init_tasks *tasks)
{
	siginfo_t ended;
	bool root;
	int status;

	for (;;) {
		pid_t pid;

		ended.si_pid = 0;
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT | __WALL)) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (!ended.si_pid)
			return true;
		/* before it is reaped: afterwards nobody knows which one it was */
		root = is_root(tasks, ended.si_pid);
		pid = waitpid(ended.si_pid, &status, WNOHANG | __WALL);
		if (pid <= 0)
			continue;
		if (root && WIFSIGNALED(status))
			tasks->signal = WTERMSIG(status);
		if (pid != tasks->criu)
			continue;
		if (WIFSIGNALED(status))
			_exit(1);
		/* the kernel may give the pid to another process later */
		tasks->criu = -1;
	}
}

/** struct init_lent - descriptors that restored tasks open by name */
struct init_lent {
	int *fds;
	size_t nr;
};

static void init_lend(int sock, struct init_lent *lent, int fd)
{
	int *fds = realloc(lent->fds, (lent->nr + 1) * sizeof(*fds));
	struct nsinit_msg out = { .number = fd };

	if (fds) {
		lent->fds = fds;
		fds[lent->nr++] = fd;
	} else {
		close(fd);
		error_errno(&out.err, CODE_INTERNAL, NULL, "cannot hold one more descriptor");
	}
	fdpass_send(sock, &out, sizeof(out), NULL, 0);
}

/* The program has its memory: what it gives up from now on must not be held here. */
static void init_forget(struct init_lent *lent)
{
	while (lent->nr)
		close(lent->fds[--lent->nr]);
}

static void init_commit(int sock)
{
	struct nsinit_msg out = { 0 };

	if (prctl(PR_SET_PDEATHSIG, 0))
		error_errno(&out.err, CODE_INTERNAL, NULL, "cannot outlive the keeper");
	fdpass_send(sock, &out, sizeof(out), NULL, 0);
}

static void init_loop(int sock, int signals, struct init_tasks *tasks)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = sock, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	struct init_lent lent = { 0 };
	int passed[FDPASS_MAX];
	struct nsinit_msg msg;
	bool committed = false;

	while (init_reap(tasks)) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents && read(signals, &info, sizeof(info)) < 0)
			continue;
		if (!fds[1].revents)
			continue;
		if (fdpass_recv(sock, &msg, sizeof(msg), passed, -1) == 1) {
			if (passed[0] >= 0) {
				init_lend(sock, &lent, passed[0]);
				continue;
			}
			init_forget(&lent);
			init_commit(sock);
			committed = true;
			continue;
		}
		if (!committed)
			_exit(1);
		/* the keeper has ended as planned: the init goes on alone */
		close(sock);
		fds[1].fd = -1;
	}
}

static void init_main(int sock, const struct nsinit_plan *plan, const struct cgroup *group)
{
	struct nsinit_msg msg = { 0 };
	struct init_tasks tasks = { .criu = -1, .root = plan->task_pid };
	int rpc_fd = -1, signals;
	sigset_t chld;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "migrate-init");
	setsid();
	if (chdir("/"))
		_exit(1);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	if (!init_descriptors(sock, &msg.err) && !init_mounts(&msg.err)) {
		avoid_pid(plan->task_pid);
		init_criu(plan, group, &rpc_fd, &tasks.criu, &msg.err);
	}
	signals = signalfd(-1, &chld, SFD_CLOEXEC);
	if (fdpass_send(sock, &msg, sizeof(msg), &rpc_fd, rpc_fd >= 0) || rpc_fd < 0 ||
	    signals < 0)
		_exit(1);
	close(rpc_fd);
	init_loop(sock, signals, &tasks);
	_exit(tasks.signal ? NSINIT_SIGNALLED + tasks.signal : 0);
}

/* @fd, @number: what came with the answer; or NULL */
static int nsinit_answer(struct nsinit *ns, int timeout_ms, int *fd, int *number, struct error *err)
{
	struct nsinit_msg msg;
	int fds[FDPASS_MAX], ret;

	ret = fdpass_recv(ns->sock, &msg, sizeof(msg), fds, timeout_ms);
	if (ret < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "no answer of the namespace's init");
	if (!ret)
		return error_set(err, CODE_INTERNAL, NULL, "the namespace's init has ended");
	if (error_is_set(&msg.err)) {
		*err = msg.err;
		return -1;
	}
	if (fd)
		*fd = fds[0];
	if (number)
		*number = msg.number;
	return 0;
}

int nsinit_start(struct nsinit *ns, const struct nsinit_plan *plan, const struct cgroup *group,
		 int *rpc_fd, struct error *err)
{
	int pair[2];
	long pid;

	if (fdpass_pair(pair))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
	/* as after fork(); the keeper has one thread, so the child may call any function */
	pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0) {
		error_errno(err, CODE_NOT_READY, "run it as root with CAP_SYS_ADMIN",
			    "cannot make PID and mount namespaces");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (!pid) {
		close(pair[0]);
		init_main(pair[1], plan, group);
	}
	close(pair[1]);
	ns->pid = pid;
	ns->sock = pair[0];
	return nsinit_answer(ns, START_TIMEOUT_MS, rpc_fd, NULL, err);
}

int nsinit_lend(struct nsinit *ns, int fd, int *number, struct error *err)
{
	struct nsinit_msg msg = { 0 };

	if (!ns->pid || fdpass_send(ns->sock, &msg, sizeof(msg), &fd, 1))
		return error_errno(err, CODE_INTERNAL, NULL, "the namespace's init has ended");
	return nsinit_answer(ns, COMMIT_TIMEOUT_MS, NULL, number, err);
}

int nsinit_commit(struct nsinit *ns, struct error *err)
{
	struct nsinit_msg msg = { 0 };

	if (fdpass_send(ns->sock, &msg, sizeof(msg), NULL, 0))
		return error_errno(err, CODE_INTERNAL, NULL, "the namespace's init has ended");
	return nsinit_answer(ns, COMMIT_TIMEOUT_MS, NULL, NULL, err);
}

int nsinit_kill(struct nsinit *ns, struct error *err)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	if (!ns->pid)
		return 0;
	kill(ns->pid, SIGKILL);
	for (int ms = 0; ms < KILL_TIMEOUT_MS; ms++) {
		pid_t pid = waitpid(ns->pid, NULL, WNOHANG);

		if (pid == ns->pid || (pid < 0 && errno == ECHILD)) {
			ns->pid = 0;
			close(ns->sock);
			ns->sock = -1;
			return 0;
		}
		nanosleep(&tick, NULL);
	}
	return error_set(err, CODE_INTERNAL, NULL, "the restored tasks (init %d) do not die",
			 ns->pid);
}
