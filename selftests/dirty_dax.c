// SPDX-License-Identifier: GPL-2.0
/*
 * A file on persistent memory, mapped without a page cache (DAX). The write-protect tracker cannot
 * track DAX entries: a write to a protected huge entry leaves the entry both writable and
 * protected, and a fault over a protection marker repeats for ever. So every SCAN reports the
 * whole mapping. The test needs such memory (boot with memmap=64M!128M).
 *	dirty_dax [--required]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "sys.h"
#include "target.h"

#define DEVICE	"/dev/pmem0"
#define FILE_LEN (4 * PMD_SIZE)
#define PAGES	(FILE_LEN / PAGE_SIZE)
/* Of the second 2 MiB. */
#define HOLE	(PMD_SIZE / PAGE_SIZE + 8)

static char dir[] = "/tmp/dax.XXXXXX";

static bool dax_is_there(void)
{
	int i;

	sys_modprobe("nd_e820");
	sys_modprobe("nd_pmem");
	for (i = 0; i < 50 && access(DEVICE, F_OK); i++)
		sys_sleep_us(20000);
	return !access(DEVICE, F_OK);
}

/* Return: a file of it */
static int dax_mount(void)
{
	static char zeros[PMD_SIZE];
	char path[64];
	int fd, i;

	ksft_must(!system("mkfs.ext4 -q -b 4096 -E stride=512,stripe_width=512 " DEVICE));
	ksft_must(mkdtemp(dir) && !mount(DEVICE, dir, "ext4", 0, "dax=always"));
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ksft_must(fd >= 0);
	for (i = 0; i < 4; i++)
		ksft_must(write(fd, zeros, sizeof(zeros)) == sizeof(zeros));
	return fd;
}

/**
 * struct dax - a target that maps the file
 * @t: the target
 * @svm: tracks it
 * @win: all of the file
 */
struct dax {
	struct target t;
	struct svm svm;
	struct dirty_window win;
};

/* Of a huge entry all is reported, and with the write-protect tracker all there is. */
static void dax_write(struct dax *d, unsigned long page, unsigned long nr,
		      const char *name)
{
	dirty_want(&d->win, 0, PAGES, DIRTY_MAYBE);
	dirty_touch(&d->t, &d->win, page, nr);
	dirty_test(&d->svm, &d->win, name);
}

static void dax_test(int fd, __u32 tracker)
{
	struct dax d;
	long addr;

	ksft_print_msg("tracker %u\n", tracker);
	svm_use_tracker(tracker);
	target_start(&d.t);
	addr = target_map(&d.t, FILE_LEN, 0);
	ksft_must(target_sys(&d.t, SYS_mmap, addr, FILE_LEN,
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     fd) == addr);
	dirty_window_init(&d.win, addr, PAGES);
	target_fill(&d.t, addr, FILE_LEN, 1);
	svm_open(&d.svm, d.t.pid, true);
	dirty_want(&d.win, 0, PAGES, DIRTY_YES);
	dirty_test_now(&d.svm, &d.win, "DAX: the first SCAN says all");
	dax_write(&d, 3, 2, "DAX: two pages");
	dax_write(&d, 3, 2, "DAX: the same again");
	dax_write(&d, 3, 2, "DAX: and again");
	ksft_must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     HOLE * PAGE_SIZE, 16 * PAGE_SIZE));
	dirty_want(&d.win, 0, PAGES, DIRTY_MAYBE);
	dirty_test(&d.svm, &d.win, "DAX: a hole is punched");
	dax_write(&d, HOLE, 4, "DAX: and filled");
	svm_close(&d.svm);
	dirty_window_free(&d.win);
	target_stop(&d.t);
}

int main(int argc, char **argv)
{
	int fd;

	ksft_print_header();
	if (!dax_is_there()) {
		ksft_test_result(argc < 2 || strcmp(argv[1], "--required"),
				 "no persistent memory here\n");
		ksft_finished();
	}
	fd = dax_mount();
	if (svm_has_tracker(SPLICE_VM_TRACKER_SOFT_DIRTY))
		dax_test(fd, SPLICE_VM_TRACKER_SOFT_DIRTY);
	if (svm_has_tracker(SPLICE_VM_TRACKER_EVENTS))
		dax_test(fd, SPLICE_VM_TRACKER_EVENTS);
	close(fd);
	ksft_must(!umount(dir));
	rmdir(dir);
	ksft_finished();
}
