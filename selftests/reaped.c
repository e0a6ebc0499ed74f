// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel takes the memory of a killed task away while the task cannot end: the OOM reaper does,
 * and process_mrelease(). No page of it may be sent as zeros. The freezer of cgroup v1 keeps the task.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES		64UL
#define LEN		(PAGES * PAGE_SIZE)
#define SEED		23UL
#define TRIES		500
#define TRY_US		20000

static char group[] = "/tmp/reaped.XXXXXX";

static void group_path(char path[64], const char *file)
{
	snprintf(path, 64, "%s/task/%s", group, file);
}

static void group_write(const char *file, const char *text)
{
	char path[64];

	group_path(path, file);
	ksft_must(!sys_write_file(path, text));
}

static void freeze(pid_t pid)
{
	char path[64], state[16] = "";
	int i;

	ksft_must(mkdtemp(group));
	ksft_must(!mount("none", group, "cgroup", 0, "freezer"));
	group_path(path, "");
	ksft_must(!mkdir(path, 0700));
	snprintf(path, sizeof(path), "%d", pid);
	group_write("tasks", path);
	group_write("freezer.state", "FROZEN");
	group_path(path, "freezer.state");
	for (i = 0; i < TRIES && strcmp(state, "FROZEN"); i++) {
		sys_sleep_us(TRY_US);
		ksft_must(sys_read_line(path, state, sizeof(state)));
	}
	ksft_must(!strcmp(state, "FROZEN"));
}

static void clean_up(void)
{
	char path[64];

	group_path(path, "");
	ksft_must(!rmdir(path));
	ksft_must(!umount(group));
	rmdir(group);
}

static int take_away(pid_t pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), ret;

	ksft_must(pidfd >= 0);
	ksft_must(!kill(pid, SIGKILL));
	ret = syscall(SYS_process_mrelease, pidfd, 0);
	close(pidfd);
	return ret;
}

/* Return: what SEND says of all pages, as flags; 0: not one thing */
static __u32 send_says(struct svm *svm, unsigned long addr)
{
	struct splice_vm_run run = { addr, PAGES, 0 }, out[PAGES];
	struct splice_vm_send send = {
		.size = sizeof(send), .runs = (uintptr_t)&run, .nr_runs = 1, .results = (uintptr_t)out,
		.nr_results = PAGES, .cookie = 1,
	};
	int pair[2];
	__u32 flags, i;

	ksft_must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send.sock_fd = pair[0];
	ksft_must(svm_ioctl(svm->fd, SPLICE_VM_SEND, &send) >= 0);
	close(pair[0]);
	close(pair[1]);
	flags = send.nr_results ? out[0].flags : 0;
	for (i = 1; i < send.nr_results; i++)
		if (out[i].flags != flags)
			return 0;
	return flags;
}

int main(void)
{
	struct target target;
	unsigned long addr;
	struct svm svm;

	ksft_print_header();
	target_start(&target);
	addr = target_map(&target, LEN, MADV_NOHUGEPAGE);
	svm_open(&svm, target.pid, false);
	ksft_test_result(send_says(&svm, addr) == SPLICE_VM_RUN_IS_ZERO, "a hole is sent as zeros\n");
	target_fill(&target, addr, LEN, SEED);
	freeze(target.pid);
	ksft_test_value(take_away(target.pid), 0, "its memory is taken away\n");
	ksft_test_result(send_says(&svm, addr) == SPLICE_VM_RUN_GONE,
			 "what was taken away is gone, and no zeros\n");
	svm_close(&svm);
	group_write("freezer.state", "THAWED");
	target_stop(&target);
	clean_up();
	ksft_finished();
}
