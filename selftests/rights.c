// SPDX-License-Identifier: GPL-2.0
/*
 * Rights: each row of the table in Documentation/security.rst is a test here. Each user opens the
 * device, and attaches an own session, or one that was passed to the user, to an own task, a
 * stranger's and root's. Each user reads a page of an own task without PROT_READ.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define YAMA		"/proc/sys/kernel/yama/ptrace_scope"
#define GROUP		2000
#define USER		1000
#define STRANGER	1001
#define TRIES		3

/* What one found, in memory that all share. */
struct found {
	int device;
	int mknod;
	int own;
	int stranger;
	int root;
	int forced;
};

/**
 * struct row - one kind of caller
 * @name: as in the documentation
 * @become: he is that from then on
 * @handed: takes sessions that root opened, since he may not open any
 * @want: what he must find; @forced: 1 when a page without PROT_READ is sent, else 0
 */
struct row {
	const char *name;
	void (*become)(void);
	bool handed;
	struct found want;
};

static struct target root_task, stranger_task;
static struct found *found;
/* Opened by root before anybody else is on. */
static int handed_fds[TRIES];

static void rights_user(gid_t group)
{
	ksft_must(!setgroups(!!group, &group));
	ksft_must(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
	ksft_must(!prctl(PR_SET_DUMPABLE, 1));
}

static void rights_become_root(void)
{
}

static void rights_become_member(void)
{
	rights_user(GROUP);
}

static void rights_become_other(void)
{
	rights_user(0);
}

static void rights_user_with(__u32 caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
	};

	ksft_must(!prctl(PR_SET_KEEPCAPS, 1));
	rights_user(GROUP);
	ksft_must(!syscall(SYS_capset, &head, data));
	ksft_must(!prctl(PR_SET_DUMPABLE, 1));
}

/* Which does not open others' files: mem belongs to the task's user. */
static void rights_become_tracer(void)
{
	rights_user_with(1 << CAP_SYS_PTRACE);
}

static void rights_become_full_tracer(void)
{
	rights_user_with(1 << CAP_SYS_PTRACE | 1 << CAP_DAC_OVERRIDE);
}

/* Root of a user namespace that USER made. */
static void rights_become_ns_root(void)
{
	rights_user(0);
	ksft_must(!unshare(CLONE_NEWUSER));
	ksft_must(!sys_write_file("/proc/self/setgroups", "deny"));
	ksft_must(!sys_write_file("/proc/self/uid_map", "0 1000 1"));
	ksft_must(!sys_write_file("/proc/self/gid_map", "0 1000 1"));
	ksft_must(!setresgid(0, 0, 0) && !setresuid(0, 0, 0));
	ksft_must(!prctl(PR_SET_DUMPABLE, 1));
}

/* Also without the machine's /dev, and with a /proc of his own, as its first process. */
static void rights_become_container(void)
{
	pid_t child;
	int status;

	rights_become_ns_root();
	ksft_must(!unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET));
	child = fork();
	ksft_must(child >= 0);
	if (child) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	ksft_must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ksft_must(!mount("proc", "/proc", "proc", 0, NULL));
	ksft_must(!mount("tmpfs", "/dev", "tmpfs", 0, NULL));
	ksft_must(!prctl(PR_SET_DUMPABLE, 1));
}

static int rights_open(const struct row *row, int i)
{
	return row->handed ? handed_fds[i] :
			     open(SPLICE_VM_DEVICE, O_RDONLY | O_CLOEXEC);
}

/* Return: 0, or why there is no session @fd on @pid */
static int rights_attach(int fd, pid_t pid)
{
	int mem_fd = sys_proc_open(pid, "mem", O_RDONLY), ret;

	if (mem_fd < 0)
		return mem_fd;
	ret = svm_attach(fd, mem_fd, 0);
	close(mem_fd);
	return ret;
}

/* A task of his own, with a page at @addr that it cannot read itself. */
static pid_t rights_fork_own(unsigned long addr)
{
	pid_t pid = fork();

	ksft_must(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mprotect((void *)addr, PAGE_SIZE, PROT_NONE);
	for (;;)
		pause();
}

static bool rights_is_forced(int fd, unsigned long addr)
{
	__u32 flags = 0;
	int pair[2];

	net_unix_pair(pair);
	ksft_must(svm_send_one(fd, pair[0], addr, 1, &flags) == 1);
	close(pair[0]);
	close(pair[1]);
	return flags & SPLICE_VM_RUN_SENT;
}

static void rights_try_own(int fd)
{
	char *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ksft_must(page != MAP_FAILED);
	*page = 1;
	pid = rights_fork_own((unsigned long)page);
	sys_sleep_us(100000);
	found->own = rights_attach(fd, pid);
	if (!found->own)
		found->forced = rights_is_forced(fd, (unsigned long)page);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void rights_try(const struct row *row, dev_t dev)
{
	int fd;

	row->become();
	fd = open(SPLICE_VM_DEVICE, O_RDONLY | O_CLOEXEC);
	found->device = fd < 0 ? -errno : 0;
	close(fd);
	if (mknod("/tmp/splice_vm", S_IFCHR | 0666, dev))
		found->mknod = -errno;
	else
		unlink("/tmp/splice_vm");
	rights_try_own(rights_open(row, 0));
	found->stranger = rights_attach(rights_open(row, 1), stranger_task.pid);
	found->root = rights_attach(rights_open(row, 2), root_task.pid);
}

static const struct row rows[] = {
	{ "root", rights_become_root, false, { .forced = 1 } },
	{ "with CAP_SYS_PTRACE and CAP_DAC_OVERRIDE", rights_become_full_tracer, false,
	  { .mknod = -EPERM, .forced = 1 } },
	{ "a member of the group with CAP_SYS_PTRACE", rights_become_tracer, false,
	  { .mknod = -EPERM, .stranger = -EACCES, .root = -EACCES, .forced = 1 } },
	{ "a member of the group", rights_become_member, false,
	  { .mknod = -EPERM, .stranger = -EACCES, .root = -EACCES } },
	{ "not a member, with sessions handed to him", rights_become_other, true,
	  { .device = -EACCES, .mknod = -EPERM, .stranger = -EACCES, .root = -EACCES } },
	{ "root of a user namespace, with sessions handed in", rights_become_ns_root, true,
	  { .device = -EACCES, .mknod = -EPERM, .stranger = -EACCES, .root = -EACCES } },
	{ "root of a container, with sessions handed in", rights_become_container, true,
	  { .device = -ENOENT, .mknod = -EPERM, .stranger = -ENOENT, .root = -ENOENT } },
};

static void rights_test_row(const struct row *row, dev_t dev)
{
	int i, status;
	pid_t child;

	*found = (struct found){ .device = 1, .own = 1, .stranger = 1, .root = 1 };
	for (i = 0; i < TRIES; i++)
		handed_fds[i] = svm_open_device();
	child = fork();
	ksft_must(child >= 0);
	if (!child) {
		rights_try(row, dev);
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (i = 0; i < TRIES; i++)
		close(handed_fds[i]);
	ksft_test_value(status, 0, "%s: came to his end\n", row->name);
	ksft_test_value(found->device, row->want.device, "%s: the device\n", row->name);
	ksft_test_value(found->mknod, row->want.mknod, "%s: a node of his own\n",
			row->name);
	ksft_test_value(found->own, 0, "%s: a task of his own\n", row->name);
	ksft_test_value(found->forced, row->want.forced,
			"%s: a page without PROT_READ\n", row->name);
	ksft_test_value(found->stranger, row->want.stranger, "%s: a stranger's task\n",
			row->name);
	ksft_test_value(found->root, row->want.root, "%s: root's task\n", row->name);
}

static long rights_stranger_fn(const unsigned long *args)
{
	sys_become(args[0]);
	return 0;
}

int main(void)
{
	struct stat was;
	size_t i;

	ksft_print_header();
	found = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ksft_must(found != MAP_FAILED);
	ksft_must(!sys_write_file(YAMA, "0"));
	target_start(&root_task);
	target_start(&stranger_task);
	target_do(&stranger_task, rights_stranger_fn, STRANGER);
	/* As the udev rule of the package has it. */
	ksft_must(!stat(SPLICE_VM_DEVICE, &was));
	ksft_must(!chown(SPLICE_VM_DEVICE, 0, GROUP) && !chmod(SPLICE_VM_DEVICE, 0660));
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		rights_test_row(&rows[i], was.st_rdev);
	ksft_must(!chown(SPLICE_VM_DEVICE, was.st_uid, was.st_gid) &&
		  !chmod(SPLICE_VM_DEVICE, was.st_mode & 07777));
	target_stop(&stranger_task);
	target_stop(&root_task);
	ksft_finished();
}
