/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_MAPS_H
#define MIGRATE_OS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "base/error.h"

/** struct vma - one mapping of a task, from /proc/PID/maps and VmFlags of smaps */
struct vma {
	uint64_t start, end;	/* bytes */
	int prot;		/* PROT_* */
	bool shared;		/* MAP_SHARED */
	bool anon;		/* no file behind it */
	bool hugetlb;		/* VmFlags ht */
	bool locked;		/* VmFlags lo */
	bool io;		/* VmFlags io or pf */
	bool maywrite;		/* VmFlags mw: mprotect() may make it writable */
	bool wipeonfork;	/* VmFlags wf */
	bool growsdown;		/* VmFlags gd */
	bool uffd;		/* VmFlags um or uw */
	bool huge_wanted;	/* VmFlags hg: madvise() asked for huge pages */
	bool huge_refused;	/* VmFlags nh */
	bool special;		/* [vdso] [vvar] [vsyscall] */
	uint32_t page_kib;	/* KernelPageSize, 0: not read */
	uint32_t major, minor;	/* device of the file */
	uint64_t own_bytes;	/* resident and swapped pages that no file has, and all of hugetlb */
	uint64_t ino;		/* inode of the file, 0: none */
	char *name;		/* path or [name], never NULL */
};

struct vma_list {
	struct vma *vmas;	/* in order of addresses */
	size_t nr;
};

/**
 * maps_read() - list the mappings of @pid
 * @with_flags: read smaps, which walks all page tables of the task; otherwise own_bytes and the fields
 *	of struct vma that come from VmFlags are 0
 *
 * The task may change its mappings meanwhile. Each address that is mapped all the time is in the
 * list, once; a mapping that merges with others may be in it in several parts.
 */
int maps_read(pid_t pid, bool with_flags, struct vma_list *list, struct error *err);
/** maps_parse() - maps_read() from the text of maps or smaps */
int maps_parse(FILE *file, struct vma_list *list, struct error *err);
void maps_free(struct vma_list *list);
const struct vma *maps_find(const struct vma_list *list, uint64_t addr);

/** vma_is_ours() - its pages go through the mirror: private, and not special, io or hugetlb */
bool vma_is_ours(const struct vma *vma);

#endif
