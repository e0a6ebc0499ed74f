// SPDX-License-Identifier: GPL-2.0
/* The side that restores: an init of its own, and what answers the page faults. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel/uffd.h"
#include "trick.h"

static void init_main(int rpc_fd)
{
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		_exit(1);
	pid = fork();
	if (!pid) {
		close_range(3, rpc_fd - 1, 0);
		close_range(rpc_fd + 1, ~0U, 0);
		criu_swrk_exec(rpc_fd);
		_exit(127);
	}
	close_range(3, ~0U, 0);
	for (;;)
		if (wait(NULL) < 0)
			pause();
}

/* Return: our end of CRIU's RPC socket */
static int init_start(struct dest *dest)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		die("socketpair: %m");
	dest->init = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL,
			     NULL);
	if (dest->init < 0)
		die("clone: %m");
	if (!dest->init)
		init_main(pair[1]);
	close(pair[1]);
	return pair[0];
}

static const char *page_of(struct dest *dest, uint64_t addr, char *buffer)
{
	const char *page;

	if (!page_set_has(&dest->lazy, addr))
		return NULL;
	if (page_set_has(&dest->fresh, addr)) {
		if (pread(dest->source_mem_fd, buffer, PAGE_BYTES, addr) != PAGE_BYTES)
			die("the source's page %#lx: %m", addr);
		dest->from_source++;
		return buffer;
	}
	page = mirror_page(dest->mirror, addr);
	if (!page)
		die("the mirror lacks page %#lx", addr);
	dest->from_mirror++;
	return page;
}

static void fault(struct dest *dest, int uffd, uint64_t addr)
{
	char buffer[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	const char *page = page_of(dest, addr, buffer);
	enum uffd_result result;
	uint64_t done;

	if (page) {
		result = uffd_copy(uffd, addr, page, 1, &done);
	} else {
		result = uffd_zero(uffd, addr, 1, &done);
		dest->from_nowhere++;
	}
	if (result == UFFD_EXISTS)
		uffd_wake(uffd, addr, PAGE_BYTES);
	else if (result == UFFD_FAILED)
		die("page %#lx: %m", addr);
}

static void uffd_read(struct dest *dest, int uffd)
{
	struct uffd_msg msg;

	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		return;
	if (msg.event == UFFD_EVENT_PAGEFAULT) {
		fault(dest, uffd, msg.arg.pagefault.address & ~(PAGE_BYTES - 1));
		return;
	}
	dest->events++;
	note("event %#x of the restored task", msg.event);
	if (msg.event == UFFD_EVENT_UNMAP || msg.event == UFFD_EVENT_REMOVE)
		page_set_remove(&dest->lazy, msg.arg.remove.start,
				(msg.arg.remove.end - msg.arg.remove.start) / PAGE_BYTES);
}

static void lazy_step(struct dest *dest, struct pollfd *fds)
{
	struct error err = { 0 };
	enum lazy_event event;
	int uffd;
	pid_t pid;

	if (lazy_server_next(dest->lazy_server, &event, &pid, &uffd, &err))
		die("%s", err.what);
	fds[0].fd = lazy_server_fd(dest->lazy_server);
	if (event == LAZY_TASK)
		fds[1].fd = uffd;
	if (event == LAZY_FINISHED)
		dest->finished = true;
	if (event == LAZY_FINISHED || event == LAZY_LOST)
		fds[0].fd = -1;
}

static void *serve(void *arg)
{
	struct dest *dest = arg;
	struct pollfd fds[] = {
		{ .fd = lazy_server_fd(dest->lazy_server), .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
		{ .fd = dest->stop_fd, .events = POLLIN },
	};

	while (!fds[2].revents) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			lazy_step(dest, fds);
		if (fds[1].revents & POLLIN)
			uffd_read(dest, fds[1].fd);
		else if (fds[1].revents)
			fds[1].fd = -1;
	}
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	return NULL;
}

/* The restored task is the init's only child once CRIU is gone. */
static void find_restored(struct dest *dest)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", dest->init, dest->init);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &dest->pid) != 1)
		die("no restored task");
	fclose(file);
}

int dest_restore(struct dest *dest, struct session *s)
{
	struct criu_restore_opts opts = {
		.images_dir_fd = s->images_fd, .work_dir_fd = s->dest_fd, .log_level = 4,
	};
	uint64_t start = now_ms();
	pid_t root = 0;
	int rpc_fd, ret;

	dest->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (lazy_server_listen(s->dest_fd, &dest->lazy_server, &s->err))
		die("%s", s->err.what);
	if (pthread_create(&dest->thread, NULL, serve, dest))
		die("thread: %m");
	rpc_fd = init_start(dest);
	ret = criu_restore_run(rpc_fd, &opts, &root, &s->err);
	close(rpc_fd);
	note("restored pid %d after %lu ms, %lu pages by fault, %lu events", root,
	     now_ms() - start, dest->from_source + dest->from_mirror, dest->events);
	if (!ret)
		find_restored(dest);
	return ret;
}

void dest_stop(struct dest *dest)
{
	uint64_t one = 1;

	kill(dest->init, SIGKILL);
	waitpid(dest->init, NULL, 0);
	if (write(dest->stop_fd, &one, sizeof(one)) < 0)
		die("eventfd: %m");
	pthread_join(dest->thread, NULL);
	lazy_server_close(dest->lazy_server);
	close(dest->stop_fd);
}
