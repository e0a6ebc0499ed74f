// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/oom.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/fds.h"
#include "os/proc.h"
#include "session/keeper.h"

static void close_fds(const int *fds)
{
	for (size_t i = 0; i < FDPASS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Return: false when the process is to end */
static bool loop_alone(struct keeper_loop *loop)
{
	close(loop->sock);
	loop->sock = -1;
	loop->until_ns = 0;
	return loop->ops->alone(loop->ctx) && loop->ops->child_ended;
}

/* The same. */
static bool loop_message(struct keeper_loop *loop)
{
	struct keeper_turn turn = { .answer_fd = -1 };
	bool go_on;

	if (fdpass_recv(loop->sock, &turn.request, sizeof(turn.request), turn.fds, -1) != 1)
		return loop_alone(loop);
	turn.answer.op = turn.request.op;
	turn.answer.seq = turn.request.seq;
	go_on = loop->ops->request(loop->ctx, &turn);
	if (!turn.quiet)
		fdpass_send(loop->sock, &turn.answer, sizeof(turn.answer), &turn.answer_fd,
			    turn.answer_fd >= 0);
	if (turn.answer_fd >= 0)
		close(turn.answer_fd);
	if (loop->ops->answered && !turn.quiet)
		loop->ops->answered(loop->ctx, &turn);
	close_fds(turn.fds);
	return go_on;
}

/* A helper that is stopped, or stuck: a request of it that is still unread does not count. */
static bool loop_late(struct keeper_loop *loop)
{
	struct pollfd helper = { .fd = loop->helper_fd, .events = POLLIN };

	loop->ops->late(loop->ctx);
	syscall(SYS_pidfd_send_signal, loop->helper_fd, SIGKILL, NULL, 0);
	poll(&helper, 1, KEEPER_GRACE_MS);
	return loop_alone(loop);
}

static int loop_left_ms(const struct keeper_loop *loop)
{
	uint64_t now = clock_now_ns();

	if (!loop->until_ns)
		return -1;
	return loop->until_ns > now ? (loop->until_ns - now) / 1000000 + 1 : 0;
}

static bool loop_once(struct keeper_loop *loop)
{
	struct pollfd fds[] = {
		{ .fd = loop->signals, .events = POLLIN },
		{ .fd = loop->sock, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int ready = poll(fds, 2, loop_left_ms(loop));

	if (ready < 0)
		return true;
	if (!ready)
		return loop_late(loop);
	if (fds[0].revents && read(loop->signals, &info, sizeof(info)) > 0 &&
	    !loop->ops->child_ended(loop->ctx))
		return false;
	return !fds[1].revents || loop_message(loop);
}

static void block_signals(struct keeper_loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	loop->signals = -1;
	if (loop->ops->child_ended)
		sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	if (!loop->ops->child_ended)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	loop->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (loop->signals < 0)
		_exit(1);
}

/*
 * Without the keeper nobody would let the program go on: the OOM killer must end the program first, whatever score the
 * helper was started with. Without the right to that the kernel still takes back what the helper's caller has added.
 */
void keeper_protect(void)
{
	struct error err = { 0 };
	int score;

	if (proc_set_oom_score_adj(getpid(), OOM_SCORE_ADJ_MIN, &err) &&
	    !proc_oom_score_adj(getpid(), &score, &err) && score > 0)
		proc_set_oom_score_adj(getpid(), 0, &err);
}

static void loop_run(struct keeper_loop *loop)
{
	const int keep[] = { loop->sock, loop->helper_fd, loop->keep[0], loop->keep[1],
			     loop->keep[2] };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "migrate-keeper");
	setsid();
	keeper_protect();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	/* a connection that stayed open here would hide from the peer that the helper died */
	fds_close_others(keep, sizeof(keep) / sizeof(*keep));
	block_signals(loop);
	if (chdir("/"))
		_exit(1);
	if (loop->ops->begin)
		loop->ops->begin(loop->ctx);
	while (loop_once(loop))
		;
	_exit(0);
}

static int fork_it(struct keeper_process *process, struct keeper_loop *loop)
{
	fflush(NULL);
	process->pid = fork();
	if (!process->pid)
		loop_run(loop);
	if (process->pid < 0)
		return -1;
	process->pidfd = syscall(SYS_pidfd_open, process->pid, 0);
	if (process->pidfd >= 0)
		return 0;
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	return -1;
}

int keeper_process_start(struct keeper_process *process, struct keeper_loop *loop,
			 struct error *err)
{
	int pair[2] = { -1, -1 }, ret = -1;

	*process = (struct keeper_process){ .pidfd = -1 };
	loop->helper_fd = syscall(SYS_pidfd_open, getpid(), 0);
	if (loop->helper_fd >= 0 && !fdpass_pair(pair)) {
		process->sock = pair[0];
		loop->sock = pair[1];
		ret = fork_it(process, loop);
	}
	if (ret)
		error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	if (loop->helper_fd >= 0)
		close(loop->helper_fd);
	if (pair[1] >= 0)
		close(pair[1]);
	if (ret && pair[0] >= 0)
		close(pair[0]);
	if (!ret)
		pthread_mutex_init(&process->lock, NULL);
	return ret;
}

/* Requests without an answer may have filled the socket. */
static int send_request(struct keeper_process *process, const struct keeper_msg *msg, const int *fds,
			size_t nr_fds, int timeout_ms)
{
	struct pollfd room = { .fd = process->sock, .events = POLLOUT };

	while (fdpass_try_send(process->sock, msg, sizeof(*msg), fds, nr_fds))
		if (errno != EAGAIN || poll(&room, 1, timeout_ms) <= 0)
			return -1;
	return 0;
}

/*
 * The answer to the last request. One to an earlier request, which was not waited for, is dropped: it
 * must not be taken for this one's.
 */
static int recv_answer(struct keeper_process *process, struct keeper_msg *msg, int *passed,
		       int timeout_ms)
{
	for (;;) {
		int ret = fdpass_recv(process->sock, msg, sizeof(*msg), passed, timeout_ms);

		if (ret != 1 || msg->seq == process->seq)
			return ret;
		close_fds(passed);
	}
}

enum keeper_answer keeper_process_ask(struct keeper_process *process, struct keeper_msg *msg,
				      const int *fds, size_t nr_fds, int *answer_fd, int timeout_ms,
				      struct error *err)
{
	int passed[FDPASS_MAX], ret;
	const char *dead = "is dead";

	pthread_mutex_lock(&process->lock);
	msg->seq = ++process->seq;
	ret = send_request(process, msg, fds, nr_fds, timeout_ms);
	if (!ret) {
		dead = "does not answer";
		ret = recv_answer(process, msg, passed, timeout_ms) == 1 ? 0 : -1;
	}
	pthread_mutex_unlock(&process->lock);
	if (ret) {
		error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) %s", process->pid, dead);
		return KEEPER_SILENT;
	}
	if (answer_fd)
		*answer_fd = passed[0];
	if (!error_is_set(&msg->err))
		return KEEPER_OK;
	if (!error_is_set(err))
		*err = msg->err;
	return KEEPER_FAILED;
}

int keeper_process_tell(struct keeper_process *process, struct keeper_msg *msg, const int *fds,
			size_t nr_fds, struct error *err)
{
	int ret;

	pthread_mutex_lock(&process->lock);
	msg->seq = ++process->seq;
	ret = send_request(process, msg, fds, nr_fds, KEEPER_ANSWER_MS);
	pthread_mutex_unlock(&process->lock);
	return ret ? error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) is dead", process->pid) : 0;
}

int keeper_data_fd(const void *data, size_t bytes)
{
	int fd = memfd_create("keeper", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, data, bytes, 0) == (ssize_t)bytes)
		return fd;
	close(fd);
	return -1;
}

int keeper_data_read(int fd, void *data, size_t bytes)
{
	return fd >= 0 && pread(fd, data, bytes, 0) == (ssize_t)bytes ? 0 : -1;
}

void keeper_process_kill(struct keeper_process *process)
{
	syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

bool keeper_process_wait(struct keeper_process *process, int timeout_ms)
{
	struct pollfd ended = { .fd = process->pidfd, .events = POLLIN };
	siginfo_t info;
	int ready;

	do
		ready = poll(&ended, 1, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		waitid(P_PIDFD, process->pidfd, &info, WEXITED);
	return ready > 0;
}

void keeper_process_close(struct keeper_process *process)
{
	close(process->sock);
	close(process->pidfd);
	pthread_mutex_destroy(&process->lock);
}
