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
#include "os/cgroup_members.h"
#include "os/proc.h"
#include "os/uffd.h"
#include "trick.h"

static void init_main(int rpc_fd, const struct cgroup *group)
{
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		_exit(1);
	pid = fork();
	if (!pid) {
		if (cgroup_add(group, 0))
			_exit(126);
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
		init_main(pair[1], &dest->group);
	close(pair[1]);
	return pair[0];
}

#define AROUND_PAGES	32

/* Return: false when the uffd is not to give this page */
static bool page_give(struct dest *dest, int uffd, uint64_t addr)
{
	char buffer[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	const char *page = buffer;
	enum uffd_result result;
	uint64_t done;

	if (addr >= USER_END || !page_set_has(&dest->lazy, addr))
		return false;
	if (page_set_has(&dest->fresh, addr)) {
		if (pread(dest->source_mem_fd, buffer, PAGE_BYTES, addr) != PAGE_BYTES)
			die("the source's page %#lx: %m", addr);
		dest->from_source++;
	} else {
		page = mirror_page(dest->mirror, addr);
		if (!page)
			die("the mirror lacks page %#lx", addr);
		dest->from_mirror++;
	}
	result = uffd_copy(uffd, addr, page, 1, &done);
	if (result == UFFD_EXISTS)
		uffd_wake(uffd, addr, PAGE_BYTES);
	else if (result == UFFD_FAILED)
		die("page %#lx: %m", addr);
	return true;
}

static void fault(struct dest *dest, int uffd, uint64_t addr)
{
	uint64_t done;

	dest->faults++;
	for (int i = 0; i < AROUND_PAGES; i++)
		if (!page_give(dest, uffd, addr + i * PAGE_BYTES))
			break;
	if (page_set_has(&dest->lazy, addr))
		return;
	if (dest->from_nowhere++ < 4)
		note("fault outside of what was lazy, at %#lx", addr);
	if (uffd_zero(uffd, addr, 1, &done) == UFFD_FAILED)
		die("zero page %#lx: %m", addr);
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

/* Return: the init's child that has pid @root in there, or 0 */
static pid_t child_of(pid_t init, pid_t root)
{
	struct proc_status status;
	pid_t pid, found = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", init, init);
	file = fopen(path, "r");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (!proc_status_read(pid, &status, &(struct error){ 0 }) &&
		    status.ns_pid == root)
			found = pid;
	if (file)
		fclose(file);
	return found;
}

/* It is the init's once CRIU is dead, which is a little later than its sockets are closed. */
static void find_restored(struct dest *dest, pid_t root)
{
	for (int i = 0; i < 1000 && !dest->pid; i++) {
		dest->pid = child_of(dest->init, root);
		sleep_ms(10);
	}
	if (!dest->pid)
		die("no restored task");
}

static int hold(void *ctx, struct error *err)
{
	return criu_hold_tasks(ctx, err);
}

int dest_restore(struct dest *dest, struct session *s)
{
	struct criu_restore_opts opts = {
		.images_dir_fd = s->images_fd, .work_dir_fd = s->dest_fd, .log_level = 4,
		.cancel_fd = -1, .pre_resume = hold, .ctx = &dest->group,
	};
	uint64_t start = now_ms();
	pid_t root = 0;
	int rpc_fd, ret;

	dest->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (cgroup_plan(&dest->group, 0, CGROUP_TOP, "criu-trick") ||
	    cgroup_make(&dest->group, &s->err))
		die("no control group: %s", s->err.what);
	if (lazy_server_listen(s->dest_fd, &dest->lazy_server, &s->err))
		die("%s", s->err.what);
	if (pthread_create(&dest->thread, NULL, serve, dest))
		die("thread: %m");
	rpc_fd = init_start(dest);
	ret = criu_restore_run(rpc_fd, &opts, &root, &s->err);
	close(rpc_fd);
	note("restored pid %d after %lu ms, %lu faults, %lu events", root, now_ms() - start,
	     dest->faults, dest->events);
	if (!ret)
		find_restored(dest, root);
	return ret;
}

void dest_stop(struct dest *dest)
{
	uint64_t one = 1;

	cgroup_kill(&dest->group, &(struct error){ 0 });
	kill(dest->init, SIGKILL);
	waitpid(dest->init, NULL, 0);
	if (write(dest->stop_fd, &one, sizeof(one)) < 0)
		die("eventfd: %m");
	pthread_join(dest->thread, NULL);
	lazy_server_close(dest->lazy_server);
	close(dest->stop_fd);
	if (cgroup_remove(&dest->group, 5000))
		die("control group %s stays: %m", dest->group.dir);
}
