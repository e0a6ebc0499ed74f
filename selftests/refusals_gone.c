// SPDX-License-Identifier: GPL-2.0
/*
 * A target that exits or calls exec: every call on the session fails with ESRCH, and neither the
 * session nor the target's memory is leaked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define MANY	300
#define REFCNT	"/sys/module/splice_vm/refcnt"

static unsigned long mapped;

static void gone_check_calls(struct svm *s, const char *how)
{
	struct splice_vm_info info;
	struct svm_runs runs = {};
	int pair[2], pipe_fds[2];
	char byte;

	net_unix_pair(pair);
	ksft_must(!pipe(pipe_fds));
	ksft_test_value(svm_send_one(s->fd, pair[0], mapped, 1, NULL), -ESRCH,
			"%s: SEND\n", how);
	ksft_test_value(svm_splice(s->fd, pipe_fds[1], mapped, PAGE_SIZE),
			-ESRCH, "%s: splice\n", how);
	ksft_test_value(pread(s->fd, &byte, 1, mapped) < 0 ? -errno : 0,
			-ESRCH, "%s: pread\n", how);
	ksft_test_value(svm_scan(s, SPLICE_VM_SCAN_POPULATED, 0, SVM_END, 10,
				 &runs), -ESRCH, "%s: SCAN POPULATED\n", how);
	ksft_test_value(svm_scan(s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 10,
				 &runs), -ESRCH, "%s: SCAN TRACKED\n", how);
	svm_info(s->fd, &info);
	ksft_test_result(info.gone && info.attached, "%s: INFO\n", how);
	svm_runs_free(&runs);
	close(pair[0]);
	close(pair[1]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static long gone_exec_fn(const unsigned long *args)
{
	(void)args;
	execl("/proc/self/exe", "refusals_gone", "--wait", NULL);
	return -errno;
}

static void gone_exec(struct target *t)
{
	static const unsigned long none[6];

	target_post(t, gone_exec_fn, none);
}

static void gone_kill(struct target *t)
{
	kill(t->pid, SIGKILL);
}

static void gone_test(void (*end)(struct target *t), const char *how)
{
	struct pollfd p = { .events = POLLIN };
	struct target t;
	struct svm s;
	int late, mem_fd;

	target_start(&t);
	mapped = target_map(&t, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&t, mapped, PMD_SIZE, 1);
	svm_open(&s, t.pid, true);
	mem_fd = sys_proc_open(t.pid, "mem", O_RDWR);
	ksft_must(mem_fd >= 0);
	p.fd = s.fd;
	ksft_test_value(poll(&p, 1, 0), 0, "%s: not yet\n", how);
	end(&t);
	ksft_test_result(poll(&p, 1, 5000) == 1 && (p.revents & POLLHUP),
			 "%s: poll says so\n", how);
	gone_check_calls(&s, how);
	late = svm_open_device();
	ksft_test_value(svm_attach(late, mem_fd, 0), -ESRCH,
			"%s: ATTACH afterwards\n", how);
	close(late);
	close(mem_fd);
	svm_close(&s);
	target_stop(&t);
}

/* exec: a new session on the same pid works, with a new descriptor. */
static void gone_test_again(void)
{
	struct target t;
	struct svm s, again;
	struct pollfd p = { .events = POLLIN };
	char byte;
	int tries;

	target_start(&t);
	svm_open(&s, t.pid, true);
	p.fd = s.fd;
	gone_exec(&t);
	ksft_must(poll(&p, 1, 5000) == 1);
	svm_open(&again, t.pid, true);
	/* The old memory goes a moment before the new program is mapped. */
	for (tries = 0; tries < 500; tries++) {
		if (pread(again.fd, &byte, 1, 0x400000) == 1)
			break;
		usleep(10000);
	}
	ksft_test_value(pread(again.fd, &byte, 1, 0x400000), 1,
			"exec: a new session sees the new program\n");
	svm_close(&again);
	svm_close(&s);
	target_stop(&t);
}

/* A call that waits for a full socket must end, too. */
static void gone_test_waiting(void)
{
	struct target t;
	struct svm s;
	int pair[2], status = 0;
	char data[65536];
	pid_t pid;

	target_start(&t);
	mapped = target_map(&t, 8 * PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&t, mapped, 8 * PMD_SIZE, 1);
	svm_open(&s, t.pid, false);
	net_unix_pair(pair);
	pid = fork();
	ksft_must(pid >= 0);
	if (!pid) {
		long ret = 0;
		int i;

		close(pair[1]);
		for (i = 0; i < 100 && ret >= 0; i++)
			ret = svm_send_one(s.fd, pair[0], mapped, 4096, NULL);
		_exit(-ret);
	}
	close(pair[0]);
	sys_sleep_us(100000);
	kill(t.pid, SIGKILL);
	while (read(pair[1], data, sizeof(data)) > 0)
		;
	ksft_must(waitpid(pid, &status, 0) == pid);
	ksft_test_value(WIFEXITED(status) ? -WEXITSTATUS(status) : -1, -ESRCH,
			"SEND that waited for the socket\n");
	close(pair[1]);
	svm_close(&s);
	target_stop(&t);
}

/* What is free but kept (by a CPU, by KASAN) counts as active until it is given back. */
static void gone_shrink(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	fd = open(path, O_WRONLY);
	/* Without it the counts are as good, only coarser. */
	if (fd < 0)
		return;
	ksft_must(write(fd, "1", 1) == 1);
	close(fd);
}

static long gone_slab(const char *name)
{
	char line[512];
	long active = -1;
	FILE *slabs;

	gone_shrink(name);
	slabs = fopen("/proc/slabinfo", "r");
	ksft_must(slabs);
	while (fgets(line, sizeof(line), slabs)) {
		size_t len = strlen(name);

		if (!strncmp(line, name, len) && line[len] == ' ')
			sscanf(line + len, "%ld", &active);
	}
	fclose(slabs);
	ksft_must(active >= 0);
	return active;
}

/*
 * Sessions on targets that have died. A session keeps the mm_struct, as documented;
 * closed, it must not: the slab count tells, for which SLUB must not merge or round
 * much, hence so many. Return: mm_structs more than before
 */
static long gone_many(struct svm *sessions, bool leave_open)
{
	long before = gone_slab("mm_struct"), after;
	int i;

	for (i = 0; i < MANY; i++) {
		struct target t;

		target_start(&t);
		svm_open(&sessions[i], t.pid, true);
		target_stop(&t);
		if (!leave_open)
			svm_close(&sessions[i]);
	}
	after = gone_slab("mm_struct");
	for (i = 0; leave_open && i < MANY; i++)
		svm_close(&sessions[i]);
	return after - before;
}

static void gone_test_leak(void)
{
	static struct svm sessions[MANY];
	long refs = sys_read_long(REFCNT), more;

	gone_many(sessions, false);
	more = gone_many(sessions, false);
	ksft_test_result(more < MANY / 3, "%d sessions closed: %ld mm_structs\n",
			 MANY, more);
	more = gone_many(sessions, true);
	ksft_test_result(more > MANY / 2,
			 "control: %d sessions open: %ld mm_structs\n", MANY,
			 more);
	ksft_test_value(sys_read_long(REFCNT), refs,
			"no reference on the module is left\n");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--wait")) {
		pause();
		return 0;
	}
	ksft_print_header();
	gone_test(gone_kill, "exit");
	gone_test(gone_exec, "exec");
	gone_test_again();
	gone_test_waiting();
	gone_test_leak();
	ksft_finished();
}
