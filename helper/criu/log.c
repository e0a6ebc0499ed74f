// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "criu/image.h"
#include "criu/log.h"
#include "criu/rpc.h"

#define HEAD_BYTES	(8UL << 20)	/* kept of a log's beginning */
#define TAIL_BYTES	(128UL << 10)	/* kept of its end, and at most twice as much */

/**
 * struct tail - the end of a log that is too long: its last lines say why CRIU failed
 * @old: the TAIL_BYTES before @now, when @full
 * @now: the last @bytes of the log
 * @lost: the log was too long
 */
struct tail {
	char old[TAIL_BYTES], now[TAIL_BYTES];
	size_t bytes;
	bool full, lost;
};

static void tail_add(struct tail *tail, const char *data, size_t bytes)
{
	tail->lost = true;
	while (bytes) {
		size_t room = TAIL_BYTES - tail->bytes, piece = bytes < room ? bytes : room;

		memcpy(tail->now + tail->bytes, data, piece);
		tail->bytes += piece;
		data += piece;
		bytes -= piece;
		if (tail->bytes < TAIL_BYTES)
			break;
		memcpy(tail->old, tail->now, TAIL_BYTES);
		tail->bytes = 0;
		tail->full = true;
	}
}

static void tail_write(const struct tail *tail, int file)
{
	static const char mark[] = "\n[lines are missing here: the log was too long]\n";

	if (!tail->lost)
		return;
	io_write_all(file, mark, strlen(mark));
	if (tail->full)
		io_write_all(file, tail->old, TAIL_BYTES);
	io_write_all(file, tail->now, tail->bytes);
}

/*
 * Read the FIFO to its end. When the disk is full the log loses lines, but CRIU never stops. Images
 * of another machine can make CRIU write any amount: the file keeps the beginning and the end.
 */
static void copy(int fifo, int file)
{
	struct pollfd pfd = { .fd = fifo, .events = POLLIN };
	static struct tail tail;
	char buffer[65536];
	struct stat st = { 0 };
	size_t head;
	ssize_t n;

	fstat(file, &st);
	head = st.st_size;
	for (;;) {
		if (poll(&pfd, 1, -1) < 0)
			continue;
		n = read(fifo, buffer, sizeof(buffer));
		if (n > 0 && head + n <= HEAD_BYTES) {
			io_write_all(file, buffer, n);
			head += n;
		} else if (n > 0) {
			tail_add(&tail, buffer, n);
		} else if (!n) {
			tail_write(&tail, file);
			return;
		}
	}
}

static void copy_main(int fifo, int file)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	sigset_t all;

	prctl(PR_SET_NAME, "migrate-log");
	setsid();
	/* only SIGKILL ends this process before CRIU has ended */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setrlimit(RLIMIT_FSIZE, &none);
	fifo = fcntl(fifo, F_DUPFD, 10);
	file = fcntl(file, F_DUPFD, 10);
	if (fifo < 0 || file < 0 || dup2(fifo, 0) < 0 || dup2(file, 1) < 0 || chdir("/"))
		_exit(1);
	close_range(2, ~0U, 0);
	copy(0, 1);
	_exit(0);
}

/* @fifo: not blocking, so that poll() shows when the last writer has closed it */
static int start(struct criu_log *log, int fifo, int file, struct error *err)
{
	log->pid = fork();
	if (!log->pid)
		copy_main(fifo, file);
	if (log->pid > 0)
		return 0;
	log->pid = 0;
	return error_errno(err, CODE_INTERNAL, NULL, "cannot fork for CRIU's log");
}

int criu_log_open(struct criu_log *log, int work_dir_fd, const char *name, struct error *err)
{
	int fifo = -1, file = -1, ret = -1;

	*log = (struct criu_log){ .hold = -1 };
	snprintf(log->fifo, sizeof(log->fifo), "%s.fifo", name);
	if (rpc_path(work_dir_fd, name, log->path, sizeof(log->path), err))
		return -1;
	if ((unlinkat(work_dir_fd, log->fifo, 0) && errno != ENOENT) ||
	    mkfifoat(work_dir_fd, log->fifo, 0600))
		return error_errno(err, CODE_CRIU, NULL, "cannot make a FIFO for %s", log->path);
	fifo = openat(work_dir_fd, log->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log->hold = openat(work_dir_fd, log->fifo, O_RDWR | O_CLOEXEC);
	file = openat(work_dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC |
		      O_NOFOLLOW, 0600);
	if (fifo < 0 || file < 0 || log->hold < 0)
		error_errno(err, CODE_CRIU, NULL, "cannot open %s", log->path);
	else
		ret = start(log, fifo, file, err);
	if (fifo >= 0)
		close(fifo);
	if (file >= 0)
		close(file);
	if (ret)
		criu_log_close(log, CRIU_LOG_TIMEOUT_MS);
	return ret;
}

void criu_log_revive(struct criu_log *log)
{
	char fifo_path[32];
	int fifo, file;

	if (!log->pid || waitpid(log->pid, NULL, WNOHANG) != log->pid)
		return;
	log->pid = 0;
	snprintf(fifo_path, sizeof(fifo_path), "/proc/self/fd/%d", log->hold);
	fifo = open(fifo_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	file = open(log->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fifo >= 0 && file >= 0)
		start(log, fifo, file, &(struct error){ 0 });
	if (fifo >= 0)
		close(fifo);
	if (file >= 0)
		close(file);
}

void criu_log_close(struct criu_log *log, int timeout_ms)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	pid_t pid;

	criu_log_revive(log);
	pid = log->pid;
	if (log->hold >= 0)
		close(log->hold);
	log->hold = -1;
	log->pid = 0;
	for (int ms = 0; pid && ms < timeout_ms; ms++) {
		/* ECHILD: the helper was started with SIGCHLD ignored, so the kernel reaps */
		if (waitpid(pid, NULL, WNOHANG))
			return;
		nanosleep(&tick, NULL);
	}
}
