/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers for procfs and sysfs, pagemap, swap, random numbers, time. */
#ifndef SPLICE_VM_SELFTESTS_SYS_H
#define SPLICE_VM_SELFTESTS_SYS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PAGE_SIZE	4096UL
#define PMD_SIZE	(2UL << 20)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* An access to memory that other threads use: the compiler makes it exactly once. */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value)	__atomic_store_n(&(x), value, __ATOMIC_RELAXED)

#define BIT_ULL(nr)		(1ULL << (nr))

#define PM_PFN(entry)		((entry) & (BIT_ULL(55) - 1))
#define PM_SOFT_DIRTY		BIT_ULL(55)
#define PM_FILE			BIT_ULL(61)
#define PM_SWAP			BIT_ULL(62)
#define PM_PRESENT		BIT_ULL(63)

#define KPF_ANON		BIT_ULL(12)
#define KPF_SWAPCACHE		BIT_ULL(13)
#define KPF_THP			BIT_ULL(22)

int sys_write_file(const char *path, const char *text);
long sys_read_long(const char *path);
bool sys_read_line(const char *path, char *line, size_t size);

int sys_proc_open(pid_t pid, const char *name, int flags);
/*
 * Opens /proc/@pid/mem of a child, also for pages that the child itself must not read: since 6.12 a
 * kernel may give these to the tracer alone (proc_mem.force_override). The opening thread also
 * reads and closes.
 */
int sys_witness_open(pid_t pid);
void sys_witness_close(pid_t pid, int mem_fd);

void sys_pagemap_read(pid_t pid, unsigned long addr, unsigned long nr,
		      __u64 *entries);
unsigned long sys_pagemap_count(pid_t pid, unsigned long addr,
				unsigned long nr, __u64 mask);
__u64 sys_kpageflags(__u64 pfn);
bool sys_is_thp(pid_t pid, unsigned long addr);

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
/* Mappings of the task that have a flag among their VmFlags in smaps, such as " uw". */
unsigned int sys_count_vmflags(pid_t pid, const char *flag);

#endif

/* Moves the pages on the CPUs' private lists to the common LRU lists. */
void sys_drain_lru(void);
void sys_compact(void);

/* Makes swap on zram of @mb MiB; once per guest. */
void sys_swap_on(unsigned int mb);
void sys_hugetlb_pages(unsigned int nr);
void sys_modprobe(const char *module);

__u64 sys_random(__u64 *state);
__u64 sys_now_ns(void);
void sys_sleep_us(unsigned long us);

/* Return: CPU time of this thread, kernel time included */
__u64 sys_thread_cpu_ns(void);

/* Changes the user for good, its groups too, so that /proc/self belongs to @uid. */
void sys_become(uid_t uid);

/* Mappings of the task that have a flag among their VmFlags in smaps, such as " uw". */
unsigned int sys_count_vmflags(pid_t pid, const char *flag);

#endif
