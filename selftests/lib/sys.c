// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ksft.h"
#include "sys.h"

int sys_write_file(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

bool sys_read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, line, size - 1);
	close(fd);
	if (len < 0)
		return false;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

long sys_read_long(const char *path)
{
	char line[64];

	if (!sys_read_line(path, line, sizeof(line)))
		return -errno;
	return strtol(line, NULL, 10);
}

int sys_proc_open(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sys_witness_open(pid_t pid)
{
	int mem_fd;

	ksft_must(!ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	mem_fd = sys_proc_open(pid, "mem", O_RDONLY);
	ksft_must(mem_fd >= 0);
	return mem_fd;
}

void sys_witness_close(pid_t pid, int mem_fd)
{
	int status;

	close(mem_fd);
	/* PTRACE_DETACH needs a stopped tracee; one that a signal stopped stays stopped */
	ksft_must(!ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ksft_must(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
	ksft_must(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

void sys_pagemap_read(pid_t pid, unsigned long addr, unsigned long nr,
		      __u64 *entries)
{
	int fd = sys_proc_open(pid, "pagemap", O_RDONLY);
	ssize_t want = nr * sizeof(*entries);

	ksft_must(fd >= 0);
	ksft_must(pread(fd, entries, want,
			addr / PAGE_SIZE * sizeof(*entries)) == want);
	close(fd);
}

unsigned long sys_pagemap_count(pid_t pid, unsigned long addr,
				unsigned long nr, __u64 mask)
{
	__u64 *entries = calloc(nr, sizeof(*entries));
	unsigned long i, count = 0;

	ksft_must(entries);
	sys_pagemap_read(pid, addr, nr, entries);
	for (i = 0; i < nr; i++)
		count += !!(entries[i] & mask);
	free(entries);
	return count;
}

__u64 sys_kpageflags(__u64 pfn)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	__u64 flags = 0;

	ksft_must(fd >= 0);
	if (pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) < 0)
		ksft_die("kpageflags");
	close(fd);
	return flags;
}

bool sys_is_thp(pid_t pid, unsigned long addr)
{
	__u64 entry;

	sys_pagemap_read(pid, addr, 1, &entry);
	return (entry & PM_PRESENT) &&
	       (sys_kpageflags(PM_PFN(entry)) & KPF_THP);
}

void sys_drain_lru(void)
{
	static char *mem = MAP_FAILED;

	/*
	 * MADV_COLLAPSE begins with lru_add_drain_all(), and has nothing to collapse in one
	 * page. Compaction would drain too, but it migrates pages.
	 */
	if (mem == MAP_FAILED)
		mem = mmap(NULL, 2 * PMD_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ksft_must(mem != MAP_FAILED);
	madvise(mem, PAGE_SIZE, MADV_COLLAPSE);
}

void sys_compact(void)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

	ksft_must(fd >= 0 && write(fd, "1", 1) == 1);
	close(fd);
}

void sys_modprobe(const char *module)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd),
		 "PATH=/sbin:/usr/sbin:/bin:/usr/bin modprobe %s", module);
	if (system(cmd))
		ksft_print_msg("modprobe %s: failed\n", module);
}

/* Writes the header that mkswap(8) writes: see union swap_header in linux/swap.h. */
static void sys_swap_format(const char *path, unsigned int mb)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char page[PAGE_SIZE] = {};
	__u32 head[2] = { 1, mb * 256 - 1 };

	ksft_must(fd >= 0);
	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	ksft_must(pwrite(fd, page, PAGE_SIZE, 0) == (ssize_t)PAGE_SIZE);
	fsync(fd);
	close(fd);
}

static bool sys_has_swap(void)
{
	char lines[512] = "", *second;
	int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);

	ksft_must(fd >= 0);
	if (read(fd, lines, sizeof(lines) - 1) < 0)
		ksft_die("/proc/swaps");
	close(fd);
	second = strchr(lines, '\n');
	return second && second[1];
}

void sys_swap_on(unsigned int mb)
{
	char size[32];

	if (sys_has_swap())
		return;
	if (access("/sys/block/zram0", F_OK))
		sys_modprobe("zram");
	snprintf(size, sizeof(size), "%uM", mb);
	if (sys_write_file("/sys/block/zram0/disksize", size))
		ksft_exit_fail_msg("no zram in this guest\n");
	sys_swap_format("/dev/zram0", mb);
	if (swapon("/dev/zram0", 0))
		ksft_die("swapon");
}

void sys_hugetlb_pages(unsigned int nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nr);
	ksft_must(!sys_write_file("/proc/sys/vm/nr_hugepages", text));
	if (sys_read_long("/proc/sys/vm/nr_hugepages") < (long)nr)
		ksft_exit_fail_msg("no memory for %u huge pages\n", nr);
}

/* xorshift64*: the same on every machine for one seed. */
__u64 sys_random(__u64 *state)
{
	__u64 x = *state ?: 88172645463325252ULL;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (x * 0x2545F4914F6CDD1DULL) >> 16;
}

__u64 sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void sys_sleep_us(unsigned long us)
{
	struct timespec ts = {
		.tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000,
	};

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

__u64 sys_thread_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ULL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
}

void sys_become(uid_t uid)
{
	ksft_must(!setgroups(0, NULL));
	ksft_must(!setresgid(uid, uid, uid));
	ksft_must(!setresuid(uid, uid, uid));
	ksft_must(!prctl(PR_SET_DUMPABLE, 1));
}

unsigned int sys_count_vmflags(pid_t pid, const char *flag)
{
	FILE *smaps = fdopen(sys_proc_open(pid, "smaps", O_RDONLY), "r");
	unsigned int count = 0;
	char line[512];

	ksft_must(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, flag))
			count++;
	}
	fclose(smaps);
	return count;
}
