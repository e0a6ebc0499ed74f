// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "base/io.h"
#include "criu/criu.h"
#include "criu/image.h"
#include "criu/rpc.h"
#include "criu/sockopts.h"
#include "criu/words.h"

#define MESSAGE_BYTES_MAX	(1 << 20)
#define CALL_TIMEOUT_MS		60000
#define END_TIMEOUT_MS		10000
#define OOM_SCORE_ADJ_MIN	"-1000"

static const char hint_install[] = "install the package criu, and look at `criu check`";

/* exec resets handlers, but not ignored signals. */
static void signals_reset(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void swrk_exec(int fd)
{
	/* an option in the machine's default configuration could break this helper's assumptions */
	char *argv[] = { "criu", "--no-default-config", "swrk", NULL, NULL };
	char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			NULL };
	char number[12];

	snprintf(number, sizeof(number), "%d", fd);
	argv[3] = number;
	fcntl(fd, F_SETFD, 0);
	execvpe("criu", argv, env);
	/* the PATH of services and of su often lacks sbin */
	if (errno == ENOENT)
		execve("/usr/sbin/criu", argv, env);
}

/*
 * The kernel's OOM killer must not end CRIU in the middle of its work. Without the right to lower
 * oom_score_adj CRIU keeps the caller's score.
 */
static void protect(void)
{
	if (io_write_text("/proc/self/oom_score_adj", OOM_SCORE_ADJ_MIN))
		errno = 0;
}

void criu_swrk_exec(int fd)
{
	signals_reset();
	protect();
	swrk_exec(fd);
}

/* In the child: install the filter, and send its listener to the helper, or an empty message. */
static void listener_send(int fd)
{
	int listener = sockopts_filter();

	fdpass_send(fd, "", 1, &listener, listener >= 0);
}

static int listener_recv(int fd)
{
	int fds[FDPASS_MAX];
	char byte;

	/* no message: the child has died */
	if (fdpass_recv(fd, &byte, sizeof(byte), fds, -1) < 0)
		return -1;
	return fds[0];
}

static void child_main(int fd, int extra_fd, bool listened, const struct cgroup *group)
{
	int null = open("/dev/null", O_RDWR);

	signals_reset();
	protect();
	/* CRIU runs in the caller's group when @group takes no process (pids.max) */
	if (group && cgroup_add(group, 0))
		errno = 0;
	/* Ctrl-C must reach the helper only: to kill CRIU at work hurts the task */
	setsid();
	/* when the helper dies CRIU must get EPIPE instead of a signal, and repair the task */
	signal(SIGPIPE, SIG_IGN);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (listened)
		listener_send(fd);
	/* away from the numbers RPC_FD and RPC_EXTRA_FD */
	fd = fcntl(fd, F_DUPFD, 10);
	if (extra_fd >= 0)
		extra_fd = fcntl(extra_fd, F_DUPFD, 10);
	if (dup2(fd, RPC_FD) < 0 || (extra_fd >= 0 && dup2(extra_fd, RPC_EXTRA_FD) < 0))
		_exit(127);
	close_range(extra_fd >= 0 ? RPC_EXTRA_FD + 1 : RPC_FD + 1, ~0U, 0);
	swrk_exec(RPC_FD);
	_exit(127);
}

int rpc_spawn(struct rpc *rpc, int extra_fd, int *listener, const struct cgroup *group,
	      struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make CRIU's RPC socket");
	rpc->pid = fork();
	if (rpc->pid < 0) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot fork for CRIU");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (!rpc->pid)
		child_main(pair[1], extra_fd, listener, group);
	close(pair[1]);
	rpc->fd = pair[0];
	if (listener)
		*listener = listener_recv(rpc->fd);
	return 0;
}

static bool reaped(pid_t pid, int *status)
{
	pid_t got = waitpid(pid, status, WNOHANG);

	/* ECHILD: the helper was started with SIGCHLD ignored, so the kernel reaps */
	return got == pid || (got < 0 && errno == ECHILD);
}

int rpc_end(struct rpc *rpc, int timeout_ms)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	int status = 0;

	if (rpc->fd >= 0)
		close(rpc->fd);
	rpc->fd = -1;
	for (int ms = 0; rpc->pid && ms < timeout_ms; ms++) {
		if (reaped(rpc->pid, &status)) {
			rpc->pid = 0;
			return status;
		}
		nanosleep(&tick, NULL);
	}
	if (rpc->pid) {
		kill(rpc->pid, SIGKILL);
		while (waitpid(rpc->pid, &status, 0) < 0 && errno == EINTR)
			;
		rpc->pid = 0;
	}
	return -1;
}

int rpc_send(int fd, CriuReq *req, struct error *err)
{
	size_t bytes = criu_req__get_packed_size(req);
	uint8_t *buffer = malloc(bytes + 1);
	ssize_t n;

	if (!buffer)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a request to CRIU");
	criu_req__pack(req, buffer);
	do {
		n = send(fd, buffer, bytes, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	free(buffer);
	if (n < 0)
		return error_errno(err, CODE_CRIU, hint_install, "CRIU does not take a request");
	return 0;
}

static int recv_wait(int fd, int timeout_ms, struct error *err)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&poller, 1, timeout_ms);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for CRIU");
	if (!ret)
		return error_set(err, CODE_CRIU, NULL, "CRIU did not answer within %d s",
				 timeout_ms / 1000);
	return 0;
}

int rpc_recv(int fd, int timeout_ms, CriuResp **resp, struct error *err)
{
	uint8_t *buffer;
	ssize_t n;

	if (recv_wait(fd, timeout_ms, err))
		return -1;
	n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	/* ECONNRESET: CRIU died before it read the last message, which counts as EOF */
	if (!n || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot read CRIU's answer");
	if (n > MESSAGE_BYTES_MAX)
		return error_set(err, CODE_CRIU, NULL, "CRIU's answer is too long");
	buffer = malloc(n);
	if (!buffer)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for CRIU's answer");
	n = recv(fd, buffer, n, 0);
	*resp = n > 0 ? criu_resp__unpack(NULL, n, buffer) : NULL;
	free(buffer);
	if (!*resp)
		return error_set(err, CODE_CRIU, NULL, "CRIU's answer is not understood");
	return 1;
}

int rpc_warm(int fd, struct error *err)
{
	CriuReq req = CRIU_REQ__INIT;
	CriuResp *resp = NULL;
	int ret;

	req.type = CRIU_REQ_TYPE__VERSION;
	req.has_keep_open = true;
	req.keep_open = true;
	if (rpc_send(fd, &req, err))
		return -1;
	ret = rpc_recv(fd, CALL_TIMEOUT_MS, &resp, err);
	if (resp)
		criu_resp__free_unpacked(resp, NULL);
	if (ret)
		return ret > 0 ? 0 : -1;
	return error_set(err, CODE_NOT_READY, hint_install, "CRIU cannot be started");
}

int rpc_answer(int fd, bool success, struct error *err)
{
	CriuReq req = CRIU_REQ__INIT;

	req.type = CRIU_REQ_TYPE__NOTIFY;
	req.has_notify_success = true;
	req.notify_success = success;
	return rpc_send(fd, &req, err);
}

int rpc_call(CriuReq *req, CriuResp **resp, struct error *err)
{
	/* a failed exec shows as EOF, or as EPIPE when the child died before the send */
	struct error unsent = { 0 };
	struct rpc rpc;
	int ret = 0;

	if (rpc_spawn(&rpc, -1, NULL, NULL, err))
		return -1;
	if (!rpc_send(rpc.fd, req, &unsent))
		ret = rpc_recv(rpc.fd, CALL_TIMEOUT_MS, resp, err);
	rpc_end(&rpc, END_TIMEOUT_MS);
	if (ret)
		return ret > 0 ? 0 : -1;
	return error_set(err, CODE_NOT_READY, hint_install, "CRIU cannot be started");
}

/*
 * Lines that CRIU logs as errors although it goes on: one in each dump with a parent of a task with
 * shared memory, and one of a CRIU that may not raise its own limits, as in a container.
 */
static bool is_harmless(const char *text)
{
	return strstr(text, "No parent image found") ||
	       strstr(text, "Can't setup RLIMIT_NOFILE for self");
}

/* Fill @text from a line "Error (criu/mem.c:1): text". Return: false for another line */
static bool error_text(const char *line, char *text, size_t bytes)
{
	const char *at = strstr(line, "Error (");

	if (!at || is_harmless(line))
		return false;
	at = strstr(at, "): ");
	if (!at)
		return false;
	at += strlen("): ");
	snprintf(text, bytes, "%.*s", (int)strcspn(at, "\n"), at);
	return criu_words_clean(text);
}

/* Find the last error in the log. The text is for people: the helper does not act on it. */
static bool log_text(const char *log, char *text, size_t bytes)
{
	FILE *file = log ? fopen(log, "re") : NULL;
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = error_text(line, text, bytes);
	if (file)
		fclose(file);
	return found;
}

int rpc_failed(const CriuResp *resp, const char *what, const char *log, struct error *err)
{
	char text[256] = "CRIU died", hint[sizeof(err->hint)];

	snprintf(hint, sizeof(hint), "CRIU's log says more: %.200s", log ? log : "");
	if (resp && resp->cr_errmsg && error_text(resp->cr_errmsg, text, sizeof(text)))
		;
	else if (log_text(log, text, sizeof(text)))
		;
	else if (resp && resp->has_cr_errno && resp->cr_errno > 0)
		snprintf(text, sizeof(text), "%s", strerror(resp->cr_errno));
	else if (resp)
		snprintf(text, sizeof(text), "CRIU gives no reason");
	return error_set(err, CODE_CRIU, log ? hint : NULL, "%s: %s", what, text);
}

int rpc_path(int fd, const char *name, char *path, size_t bytes, struct error *err)
{
	char link[32];
	ssize_t n;
	int more;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, bytes - 1);
	if (n < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot find the path of a directory");
	path[n] = '\0';
	more = name ? snprintf(path + n, bytes - n, "/%s", name) : 0;
	if (path[0] != '/' || (size_t)n + more >= bytes - 1)
		return error_set(err, CODE_INTERNAL, NULL, "path of a directory is too long");
	return 0;
}

int rpc_config(int work_dir_fd, const char *name, const char *text,
	       const struct criu_config *config, enum criu_end end, char *path, size_t bytes,
	       struct error *err)
{
	char *more;
	int fd, ret;

	if (rpc_path(work_dir_fd, name, path, bytes, err))
		return -1;
	fd = openat(work_dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot create %s", path);
	more = criu_config_text(config, end);
	ret = !more || io_write_all(fd, text, strlen(text)) || io_write_all(fd, more, strlen(more)) ? -1 : 0;
	free(more);
	if (ret)
		error_errno(err, CODE_CRIU, NULL, "cannot write %s", path);
	close(fd);
	return ret;
}
