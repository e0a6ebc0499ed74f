// SPDX-License-Identifier: GPL-2.0
/*
 * Ten thousand scattered drops in one epoch: SCAN reports each, and no page between them. With more
 * drops than the module keeps apart, SCAN may report pages between them as dirty, never as dropped.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

/**
 * struct scattered - pages to be dropped, and pages to be kept, in turn
 * @addr: the first page to be dropped
 * @stride: bytes from one to the next
 * @keep: bytes from a page that is dropped to one that is kept
 * @nr: how many of each
 */
struct scattered {
	unsigned long addr;
	unsigned long stride;
	unsigned long keep;
	unsigned long nr;
};

static struct target target;
static struct svm svm;
static __u32 tracker;

/* In the target: pages that are written, args as in struct scattered. */
static long scattered_touch_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < args[3]; i++) {
		WRITE_ONCE(*(long *)(args[0] + i * args[1]), i);
		WRITE_ONCE(*(long *)(args[0] + i * args[1] + args[2]), i);
	}
	return 0;
}

/* In the target. Return: 0 or -errno */
static long scattered_discard_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < args[3]; i++) {
		if (madvise((void *)(args[0] + i * args[1]), PAGE_SIZE,
			    MADV_DONTNEED))
			return -errno;
	}
	return 0;
}

static long scattered_unmap_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < args[3]; i++) {
		if (munmap((void *)(args[0] + i * args[1]), PAGE_SIZE))
			return -errno;
	}
	return 0;
}

static long scattered_do(const struct scattered *sc, target_fn fn)
{
	return target_do(&target, fn, sc->addr, sc->stride, sc->keep, sc->nr);
}

static unsigned long scattered_len(const struct scattered *sc)
{
	return sc->nr * sc->stride;
}

static void scattered_epoch(void)
{
	if (tracker == SPLICE_VM_TRACKER_SOFT_DIRTY)
		svm_epoch(&svm);
}

static void scattered_scan(const struct scattered *sc, struct svm_runs *runs)
{
	runs->nr = 0;
	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_TRACKED, sc->addr,
			    sc->addr + scattered_len(sc), 4096, runs));
}

/* What is said of a page; 0 for nothing. Runs are in order. */
static __u32 scattered_said(const struct svm_runs *runs, unsigned long addr)
{
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct splice_vm_run *run = &runs->v[mid];

		if (addr < run->addr)
			high = mid;
		else if (addr - run->addr >= run->nr_pages * PAGE_SIZE)
			low = mid + 1;
		else
			return run->flags;
	}
	return 0;
}

/* Pages, from @first on, of which not exactly @flags is said. */
static unsigned long scattered_wrong(const struct scattered *sc,
				     const struct svm_runs *runs,
				     unsigned long first, __u32 flags)
{
	unsigned long i, wrong = 0;

	for (i = 0; i < sc->nr; i++)
		wrong += scattered_said(runs, sc->addr + first + i * sc->stride) != flags;
	return wrong;
}

static void scattered_make(struct scattered *sc)
{
	struct svm_runs runs = {};

	sc->addr = target_map(&target, scattered_len(sc), MADV_NOHUGEPAGE);
	scattered_do(sc, scattered_touch_fn);
	sys_drain_lru();
	scattered_epoch();
	scattered_scan(sc, &runs);
	/* A page that somebody held for a moment comes once more. */
	scattered_epoch();
	scattered_scan(sc, &runs);
	scattered_epoch();
	svm_runs_free(&runs);
}

static unsigned long scattered_overflows(void)
{
	struct splice_vm_info info;

	svm_info(svm.fd, &info);
	return info.overflows;
}

static void scattered_test(target_fn drop, unsigned long keep, const char *name)
{
	struct scattered sc = { .stride = 2 * PMD_SIZE, .keep = keep, .nr = 10000 };
	unsigned long overflows;
	struct svm_runs runs = {};

	scattered_make(&sc);
	overflows = scattered_overflows();
	ksft_must(!scattered_do(&sc, drop));
	scattered_epoch();
	scattered_scan(&sc, &runs);
	ksft_test_value(scattered_wrong(&sc, &runs, 0, SPLICE_VM_RUN_DROPPED), 0,
			"%s: each drop is reported\n", name);
	ksft_test_value(scattered_wrong(&sc, &runs, sc.keep, 0), 0,
			"%s: nothing is said of what lies between\n", name);
	ksft_test_value(svm_runs_pages(&runs, SPLICE_VM_RUN_DROPPED, 0) >= sc.nr, 1,
			"%s: control: there are runs\n", name);
	ksft_test_value(scattered_overflows(), overflows, "%s: no overflow\n", name);
	ksft_must(!target_sys(&target, SYS_munmap, sc.addr, scattered_len(&sc)));
	svm_runs_free(&runs);
}

/* munmap is noted twice: as a drop, and until the epoch ends, since mremap may come there. */
static void scattered_test_overflow(void)
{
	struct scattered sc = { .stride = 2 * PAGE_SIZE, .keep = PAGE_SIZE, .nr = 17000 };
	struct svm_runs runs = {};
	unsigned long overflows, i, wrong = 0;

	scattered_make(&sc);
	overflows = scattered_overflows();
	ksft_must(!scattered_do(&sc, scattered_unmap_fn));
	scattered_epoch();
	scattered_scan(&sc, &runs);
	ksft_test_result(scattered_overflows() > overflows, "overflow: INFO says so\n");
	ksft_test_value(scattered_wrong(&sc, &runs, 0, SPLICE_VM_RUN_DROPPED), 0,
			"overflow: no drop was lost\n");
	for (i = 0; i < sc.nr; i++)
		wrong += scattered_said(&runs, sc.addr + sc.keep + i * sc.stride) ==
			 SPLICE_VM_RUN_DROPPED;
	ksft_test_value(wrong, 0, "overflow: what is there is not DROPPED\n");
	svm_runs_free(&runs);
}

static void scattered_test_all(__u32 which)
{
	if (!svm_has_tracker(which))
		return;
	tracker = which;
	ksft_print_msg("tracker %u\n", which);
	svm_use_tracker(which);
	target_start(&target);
	svm_open(&svm, target.pid, true);
	scattered_test(scattered_discard_fn, PAGE_SIZE, "MADV_DONTNEED");
	/* Linux may split huge pages around: all of these 2 MiB are looked at. */
	scattered_test(scattered_unmap_fn, PMD_SIZE, "munmap");
	svm_close(&svm);
	target_stop(&target);
	if (which != SPLICE_VM_TRACKER_SOFT_DIRTY)
		return;
	/* A session that has seen no large task: it keeps fewer drops apart. */
	target_start(&target);
	svm_open(&svm, target.pid, true);
	scattered_test_overflow();
	svm_close(&svm);
	target_stop(&target);
}

int main(void)
{
	ksft_print_header();
	scattered_test_all(SPLICE_VM_TRACKER_SOFT_DIRTY);
	scattered_test_all(SPLICE_VM_TRACKER_EVENTS);
	ksft_finished();
}
