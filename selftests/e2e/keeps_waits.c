// SPDX-License-Identifier: GPL-2.0
/*
 * A program with threads that wait in system calls. It notes which threads still wait after the
 * move: see keeps.h.
 *
 *	keeps_waits FILE
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "keeps.h"

static int pipe_fds[2], pair_fds[2], epoll_fd, futex_word;
static pthread_mutex_t waits_lock = PTHREAD_MUTEX_INITIALIZER;

static int wait_nanosleep(void)
{
	struct timespec hour = { .tv_sec = HOUR_S };

	return syscall(SYS_nanosleep, &hour, &hour);
}

static int wait_clock_nanosleep(void)
{
	struct timespec hour = { .tv_sec = HOUR_S };

	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &hour, NULL);
}

static int wait_poll(void)
{
	struct pollfd in = { .fd = pipe_fds[0], .events = POLLIN };

	return poll(&in, 1, -1);
}

static int wait_poll_timeout(void)
{
	struct pollfd in = { .fd = pipe_fds[0], .events = POLLIN };

	return poll(&in, 1, HOUR_S * 1000);
}

static int wait_select(void)
{
	struct timeval hour = { .tv_sec = HOUR_S };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_fds[0], &set);
	return select(pipe_fds[0] + 1, &set, NULL, NULL, &hour);
}

static int wait_epoll(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_fd, &event, 1, -1);
}

static int wait_futex(void)
{
	return syscall(SYS_futex, &futex_word, 0 /* FUTEX_WAIT */, 0, NULL);
}

static int wait_futex_timeout(void)
{
	struct timespec hour = { .tv_sec = HOUR_S };

	return syscall(SYS_futex, &futex_word, 0 /* FUTEX_WAIT */, 0, &hour);
}

static int wait_recv_timeout(void)
{
	struct timeval hour = { .tv_sec = HOUR_S };
	char byte;

	setsockopt(pair_fds[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour));
	return recv(pair_fds[0], &byte, 1, 0);
}

static const struct wait {
	const char *name;
	int (*run)(void);
	bool wakes;
} waits[] = {
	{ "nanosleep", wait_nanosleep, false },
	{ "clock_nanosleep", wait_clock_nanosleep, false },
	{ "poll", wait_poll, true },
	{ "poll-timeout", wait_poll_timeout, true },
	{ "select", wait_select, true },
	{ "epoll_wait", wait_epoll, true },
	{ "futex", wait_futex, true },
	{ "futex-timeout", wait_futex_timeout, true },
	{ "recv-timeout", wait_recv_timeout, true },
};

#define NR_WAITS	(sizeof(waits) / sizeof(*waits))

static struct result {
	bool ended;
	int ret, error;
} results[NR_WAITS];

static void *wait_body(void *arg)
{
	size_t i = (size_t)arg;
	int ret = waits[i].run(), error = errno;

	pthread_mutex_lock(&waits_lock);
	results[i] = (struct result){ true, ret, error };
	pthread_mutex_unlock(&waits_lock);
	return NULL;
}

static void waits_wake(void)
{
	futex_word = 1;
	syscall(SYS_futex, &futex_word, 1 /* FUTEX_WAKE */, 100);
	if (write(pipe_fds[1], "x", 1) != 1 || write(pair_fds[1], "x", 1) != 1)
		warn("write");
}

static void wait_tell(size_t i, const struct result *before)
{
	const struct result *after = &results[i];

	if (before->ended)
		say("%s %s", waits[i].name, before->ret < 0 ? strerror(before->error) : "woken early");
	else if (after->ended != waits[i].wakes)
		say("%s %s", waits[i].name, after->ended ? "woken" : "not woken");
	else
		say("%s %s", waits[i].name, after->ended && after->ret < 0 ?
		    strerror(after->error) : "waits");
}

static void waits_make(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	epoll_fd = epoll_create1(0);
	if (pipe(pipe_fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair_fds) || epoll_fd < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fds[0], &event))
		err(1, "descriptors");
}

static void waits_run(void)
{
	struct result before[NR_WAITS];
	pthread_t thread;

	waits_make();
	for (size_t i = 0; i < NR_WAITS; i++)
		if (pthread_create(&thread, NULL, wait_body, (void *)i))
			errx(1, "pthread_create");
	pause_ms(1000);
	say("ready");
	while (!moved())
		pause_ms(TICK_MS);
	pause_ms(1500);
	pthread_mutex_lock(&waits_lock);
	memcpy(before, results, sizeof(before));
	pthread_mutex_unlock(&waits_lock);
	waits_wake();
	pause_ms(1500);
	pthread_mutex_lock(&waits_lock);
	for (size_t i = 0; i < NR_WAITS; i++)
		wait_tell(i, &before[i]);
	pthread_mutex_unlock(&waits_lock);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: keeps_waits FILE");
	report_path = argv[1];
	first_ns = pid_ns();
	waits_run();
	say("end");
	for (;;)
		pause_ms(HOUR_S * 1000);
}
