// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses that are unreadable, or readable only with more rights: device memory, no mapping, a
 * userfaultfd, PROT_NONE without the right to force it. Calls that span several kinds of memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"
#include "wp.h"

#define SEED	99UL
#define SMAPS_LINE	512

/* What SEND and splice say; nothing readable is there in any case. */
static void special_is(struct svm *s, unsigned long addr, const char *name,
		       __u32 sent, long spliced)
{
	int pipe_fds[2], pair[2];
	char page[PAGE_SIZE];
	__u32 flags = 0;

	ksft_must(!pipe(pipe_fds));
	net_unix_pair(pair);
	ksft_test_value(svm_send_one(s->fd, pair[0], addr, 1, &flags), 1,
			"%s: SEND goes on\n", name);
	ksft_test_value(flags, sent, "%s: what SEND says\n", name);
	ksft_test_value(svm_splice(s->fd, pipe_fds[1], addr, PAGE_SIZE),
			spliced, "%s: splice\n", name);
	ksft_test_value(pread(s->fd, page, PAGE_SIZE, addr) < 0 ? -errno : 0,
			-EFAULT, "%s: pread\n", name);
	close(pair[0]);
	close(pair[1]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void special_is_gone(struct svm *s, unsigned long addr,
			    const char *name)
{
	special_is(s, addr, name, SPLICE_VM_RUN_GONE, -EFAULT);
}

/* Address of a mapping by its name, and its VmFlags, from smaps. */
static unsigned long special_find_mapping(pid_t pid, const char *name,
					  char flags[SMAPS_LINE])
{
	unsigned long addr = 0, start;
	char path[32], line[SMAPS_LINE];
	FILE *smaps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	smaps = fopen(path, "r");
	ksft_must(smaps);
	flags[0] = '\0';
	while (!flags[0] && fgets(line, sizeof(line), smaps)) {
		if (strstr(line, name) && sscanf(line, "%lx-", &start) == 1)
			addr = start;
		if (addr && !strncmp(line, "VmFlags:", 8))
			strcpy(flags, line + 8);
	}
	fclose(smaps);
	return addr;
}

/*
 * The kernel's data, which is no memory of the task's: marked as a device's (VM_PFNMAP, or
 * VM_IO), or, as newer kernels may have it, pages (VM_MIXEDMAP alone), which are
 * never taken by reference, and not read either.
 */
static void special_test_vvar(struct svm *s, pid_t pid)
{
	char flags[SMAPS_LINE];
	unsigned long addr = special_find_mapping(pid, "[vvar]", flags);
	bool io = strstr(flags, " pf") || strstr(flags, " io");

	ksft_test_result(io || strstr(flags, " mm"), "there is a [vvar]:%s",
			 flags);
	if (io)
		special_is_gone(s, addr, "[vvar], as a device's");
	else
		special_is(s, addr, "[vvar] of pages", SPLICE_VM_RUN_SLOW,
			   -ENODATA);
}

/* ROM of the BIOS: below 1 MiB, so allowed by STRICT_DEVMEM. */
static void special_test_dev_mem(void)
{
	struct target t;
	struct svm s;
	long fd, addr;

	target_start(&t);
	fd = target_sys(&t, SYS_openat, AT_FDCWD, (unsigned long)"/dev/mem",
			O_RDONLY);
	addr = target_sys(&t, SYS_mmap, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, fd,
			  0xF0000);
	if (fd < 0 || (addr < 0 && addr > -4096))
		ksft_exit_fail_msg("/dev/mem: %ld %ld\n", fd, addr);
	target_fill(&t, addr, PAGE_SIZE, 0);
	svm_open(&s, t.pid, false);
	special_is_gone(&s, addr, "/dev/mem");
	svm_close(&s);
	target_stop(&t);
}

static void special_test_nothing(void)
{
	struct target t;
	struct svm s;
	unsigned long addr;

	target_start(&t);
	svm_open(&s, t.pid, false);
	special_test_vvar(&s, t.pid);
	special_is_gone(&s, 0x10000, "no mapping");
	addr = target_map(&t, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&t, addr, PMD_SIZE, SEED);
	target_sys(&t, SYS_munmap, addr + PAGE_SIZE, PAGE_SIZE);
	special_is_gone(&s, addr + PAGE_SIZE, "hole between mappings");
	svm_close(&s);
	target_stop(&t);
}

static void special_test_uffd(void)
{
	unsigned long addr, len = 64 * PAGE_SIZE;
	char page[PAGE_SIZE];
	int pair[2];
	__u32 flags;
	struct target t;
	struct svm s;

	target_start(&t);
	svm_open(&s, t.pid, false);
	net_unix_pair(pair);
	addr = target_map(&t, len, MADV_NOHUGEPAGE);
	target_fill(&t, addr, len / 2, SEED);
	target_page_out(&t, addr, len / 4);
	ksft_must(target_uffd(&t, addr, len) >= 0);
	ksft_test_value(pread(s.fd, page, PAGE_SIZE, addr) < 0 ? -errno : 0,
			-EBUSY, "uffd: pread of a swapped page\n");
	ksft_test_value(svm_send_one(s.fd, pair[0], addr, 1, &flags), 1,
			"uffd: SEND of a swapped page\n");
	ksft_test_value(flags, SPLICE_VM_RUN_SLOW, "uffd: it is slow\n");
	ksft_test_result(pread(s.fd, page, PAGE_SIZE, addr + len / 4) ==
			 PAGE_SIZE &&
			 pattern_is(page, addr + len / 4, PAGE_SIZE, SEED),
			 "uffd: pread of a page that is there\n");
	ksft_test_result(pread(s.fd, page, PAGE_SIZE, addr + len / 2) ==
			 PAGE_SIZE && pattern_is(page, 0, PAGE_SIZE, 0),
			 "uffd: pread of a hole does not wait\n");
	close(pair[0]);
	close(pair[1]);
	svm_close(&s);
	target_stop(&t);
}

static long special_become_fn(const unsigned long *args)
{
	sys_become(args[0]);
	return 0;
}

/* What @uid, without capabilities, gets of PROT_NONE memory of its own task. */
static int special_prot_none_child(struct target *t, unsigned long addr,
				   uid_t uid)
{
	int dev = svm_open_device(), mem, pair[2];
	char page[PAGE_SIZE];
	__u32 flags = 0;

	net_unix_pair(pair);
	sys_become(uid);
	mem = sys_proc_open(t->pid, "mem", O_RDONLY);
	if (mem < 0 || svm_attach(dev, mem, 0))
		return 1;
	if (svm_send_one(dev, pair[0], addr, 1, &flags) != 1 ||
	    flags != SPLICE_VM_RUN_SLOW)
		return 2;
	if (pread(dev, page, PAGE_SIZE, addr) >= 0 || errno != EFAULT)
		return 3;
	return 0;
}

/* A hole to PAGEMAP_SCAN, but it does not read as zeros: the task gets SIGBUS. */
static void special_test_poison(void)
{
	unsigned long addr, len = 16 * PAGE_SIZE;
	struct svm_runs runs = {};
	struct target t;
	struct svm s;
	int uffd;

	/* They came with Linux 6.6 and 6.7. */
	if (!svm_has_tracker(SPLICE_VM_TRACKER_EVENTS)) {
		ksft_test_result(true, "no poisoned pages on this kernel\n");
		return;
	}
	target_start(&t);
	addr = target_map(&t, len, MADV_NOHUGEPAGE);
	target_fill(&t, addr, PAGE_SIZE, SEED);
	svm_open(&s, t.pid, false);
	uffd = wp_uffd(&s);
	wp_register(uffd, addr, len);
	wp_poison(uffd, addr + PAGE_SIZE, PAGE_SIZE);
	special_is(&s, addr + PAGE_SIZE, "poisoned page", SPLICE_VM_RUN_SLOW,
		   -ENODATA);
	ksft_must(!svm_scan(&s, SPLICE_VM_SCAN_POPULATED, addr, addr + len, 16, &runs));
	ksft_test_value(svm_runs_pages(&runs, SPLICE_VM_RUN_SWAPPED, 0), 1,
			"poisoned page: SCAN\n");
	svm_runs_free(&runs);
	close(uffd);
	svm_close(&s);
	target_stop(&t);
}

static void special_test_prot_none(void)
{
	static const char yama[] = "/proc/sys/kernel/yama/ptrace_scope";
	struct target t;
	unsigned long addr;
	int status;
	pid_t pid;

	ksft_must(!sys_write_file(yama, "0"));
	target_start(&t);
	target_do(&t, special_become_fn, 1000);
	addr = target_map(&t, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&t, addr, PAGE_SIZE, SEED);
	target_sys(&t, SYS_mprotect, addr, PMD_SIZE, PROT_NONE);
	pid = fork();
	ksft_must(pid >= 0);
	if (!pid)
		_exit(special_prot_none_child(&t, addr, 1000));
	ksft_must(waitpid(pid, &status, 0) == pid);
	ksft_test_value(status, 0,
			"PROT_NONE is not forced without CAP_SYS_PTRACE\n");
	target_stop(&t);
}

/* Sent, zero, slow and gone in a row of 16 pages each. */
static unsigned long special_map_mixed(struct target *t)
{
	unsigned long part = 16 * PAGE_SIZE;
	unsigned long addr = target_map(t, 5 * part, MADV_NOHUGEPAGE);

	target_fill(t, addr, part, SEED);
	target_fill(t, addr + 2 * part, part, SEED);
	target_page_out(t, addr + 2 * part, part);
	target_sys(t, SYS_munmap, addr + 3 * part, part);
	target_fill(t, addr + 4 * part, part, SEED);
	return addr;
}

static void special_check_mixed(const struct svm_runs *results,
				unsigned long addr, const char *name)
{
	static const __u32 want[5] = {
		SPLICE_VM_RUN_SENT, SPLICE_VM_RUN_IS_ZERO, SPLICE_VM_RUN_SLOW,
		SPLICE_VM_RUN_GONE, SPLICE_VM_RUN_SENT,
	};
	unsigned long page = 0;
	bool right = true;
	size_t i;
	__u32 j;

	for (i = 0; i < results->nr; i++) {
		right &= results->v[i].addr == addr + page * PAGE_SIZE;
		for (j = 0; j < results->v[i].nr_pages; j++, page++)
			right &= page < 80 &&
				 results->v[i].flags == want[page / 16];
	}
	if (!ksft_test_result(right && page == 80, "mixed: results, %s\n",
			      name))
		svm_runs_print(results);
}

static void special_send_mixed(struct svm *s, unsigned long addr)
{
	struct splice_vm_run runs[80];
	struct svm_send send = { .cookie = 5 };
	struct mirror m;
	struct receiver r = { .mirror = &m, .cookie = 5 };
	int pair[2], i;

	mirror_init(&m);
	net_unix_pair(pair);
	r.fd = pair[1];
	send.sock = pair[0];
	receiver_start(&r);
	for (i = 0; i < 80; i++)
		runs[i] = (struct splice_vm_run){ addr + i * PAGE_SIZE, 1, 0 };
	ksft_must(!svm_send_all(s, &send, runs, 80));
	special_check_mixed(&send.results, addr, "a run for each page");
	send.results.nr = 0;
	runs[0].nr_pages = 80;
	ksft_must(!svm_send_all(s, &send, runs, 1));
	special_check_mixed(&send.results, addr, "one run");
	shutdown(pair[0], SHUT_WR);
	receiver_join(&r);
	ksft_test_result(!r.broken && r.pages == 64 && m.nr == 32 &&
			 mirror_is_pattern(&m, addr, 16, SEED) &&
			 mirror_is_pattern(&m, addr + 64 * PAGE_SIZE, 16, SEED),
			 "mixed: stream: %s\n", r.broken ?: "whole");
	svm_runs_free(&send.results);
	mirror_free(&m);
	close(pair[0]);
	close(pair[1]);
}

static void special_test_mixed(void)
{
	unsigned long part = 16 * PAGE_SIZE, addr;
	char *data = malloc(5 * part);
	int pipe_fds[2], pair[2];
	struct target t;
	struct svm s;

	ksft_must(data && !pipe(pipe_fds));
	target_start(&t);
	svm_open(&s, t.pid, false);
	net_unix_pair(pair);
	addr = special_map_mixed(&t);
	special_send_mixed(&s, addr);
	/* There is room for one result: one kind of memory is done. */
	ksft_test_value(svm_send_one(s.fd, pair[0], addr, 80, NULL), 16,
			"mixed: SEND ends when results are full\n");
	ksft_test_value(svm_splice(s.fd, pipe_fds[1], addr + 8 * PAGE_SIZE,
				   5 * part), 8 * PAGE_SIZE,
			"mixed: splice stops at the hole\n");
	ksft_test_value(svm_splice(s.fd, pipe_fds[1], addr + 2 * part,
				   5 * part), -ENODATA,
			"mixed: splice of a swapped page\n");
	ksft_test_value(pread(s.fd, data, 5 * part - 24, addr + 24),
			3 * part - 24, "mixed: pread stops at the gap\n");
	ksft_test_result(pattern_is(data, addr + 24, part - 24, SEED) &&
			 pattern_is(data + part - 24, 0, part, 0) &&
			 pattern_is(data + 2 * part - 24, addr + 2 * part,
				    part, SEED),
			 "mixed: bytes of pread\n");
	ksft_test_value(pread(s.fd, data + 1, 7, addr + PAGE_SIZE - 3), 7,
			"mixed: pread over the edge of a page\n");
	close(pair[0]);
	close(pair[1]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	svm_close(&s);
	target_stop(&t);
	free(data);
}

/* A session on the caller itself: no lock may be waited for that it holds. */
static void special_test_self(void)
{
	char *mem = mmap(NULL, PMD_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	unsigned long addr = (unsigned long)mem;
	char data[PAGE_SIZE];
	struct svm_runs runs = {};
	struct svm s;
	int pair[2];

	ksft_must(mem != MAP_FAILED);
	net_unix_pair(pair);
	svm_open(&s, getpid(), true);
	pattern_fill(mem, addr, PMD_SIZE, SEED);
	svm_epoch(&s);
	ksft_test_value(svm_scan(&s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 100,
				 &runs), 0, "own task: SCAN\n");
	ksft_test_result(svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0) >=
			 PMD_SIZE / PAGE_SIZE, "own task: dirty pages\n");
	ksft_test_value(svm_send_one(s.fd, pair[0], addr, 4, NULL), 4,
			"own task: SEND\n");
	ksft_test_result(pread(s.fd, data, PAGE_SIZE, addr) == PAGE_SIZE &&
			 pattern_is(data, addr, PAGE_SIZE, SEED),
			 "own task: pread\n");
	ksft_test_value(pread(s.fd, mem + PAGE_SIZE, PAGE_SIZE, addr),
			PAGE_SIZE, "own task: pread into itself\n");
	svm_runs_free(&runs);
	close(pair[0]);
	close(pair[1]);
	svm_close(&s);
	munmap(mem, PMD_SIZE);
}

int main(void)
{
	ksft_print_header();
	sys_swap_on(256);
	special_test_dev_mem();
	special_test_nothing();
	special_test_uffd();
	special_test_poison();
	special_test_prot_none();
	special_test_mixed();
	special_test_self();
	ksft_finished();
}
