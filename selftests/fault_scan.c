// SPDX-License-Identifier: GPL-2.0
/* SCAN and clear_refs with injected faults: later calls report what a failed call did not. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fault_pages.h"
#include "fault_scan.h"
#include "ksft.h"
#include "sys.h"

static struct svm *svm;
static struct target *target;
static struct splice_vm_run runs[4096];
static unsigned int cap;
static unsigned int nr_runs;

static long scan_call(__u32 flags)
{
	struct splice_vm_scan arg = {
		.size = sizeof(arg),
		.flags = flags,
		.end = SVM_END,
		.runs = (unsigned long)runs,
		.nr_runs = cap,
	};
	int ret = 0;

	if (svm->has_wp && flags == SPLICE_VM_SCAN_TRACKED)
		ret = uffd_wp_epoch(&svm->wp, 0, SVM_END, false);
	if (!ret)
		ret = svm_ioctl(svm->fd, SPLICE_VM_SCAN, &arg);

	nr_runs = ret ? 0 : arg.nr_runs;
	return ret;
}

long fault_scan_tracked(void)
{
	return scan_call(SPLICE_VM_SCAN_TRACKED);
}

long fault_scan_populated(void)
{
	return scan_call(SPLICE_VM_SCAN_POPULATED);
}

/* What the call gave, and then what the next ones give, is all that happened. */
bool fault_scan_after(long ret)
{
	struct svm_runs rest = {};
	bool fine;

	(void)ret;
	fault_pages_reported(runs, nr_runs);
	fine = !svm_scan(svm, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 500, &rest);
	fault_pages_reported(rest.v, rest.nr);
	svm_runs_free(&rest);
	return fine && fault_pages_are_right();
}

void fault_scan_before(void)
{
	fault_pages_change(target);
	svm_epoch(svm);
}

bool fault_scan_populated_after(long ret)
{
	(void)ret;
	nr_runs = 0;
	return fault_scan_after(0) && !fault_scan_populated();
}

/* A session that has chunks for a few page tables, and a target that now has many. */
void fault_scan_grown_before(void)
{
	struct svm_runs first = {};

	svm_close(svm);
	fault_pages_shrink(target);
	svm_open(svm, target->pid, true);
	ksft_must(!svm_scan(svm, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 4096,
			    &first));
	svm_runs_free(&first);
	svm_epoch(svm);
	fault_pages_grow(target);
	fault_scan_before();
}

/* And what happens after a SCAN that could not get what the next snapshot needs. */
bool fault_scan_grown_after(long ret)
{
	if (!fault_scan_after(ret))
		return false;
	fault_scan_before();
	return fault_scan_after(fault_scan_tracked());
}

/* A write of clear_refs, which takes the snapshot. */

void fault_epoch_before(void)
{
	fault_pages_change(target);
}

long fault_epoch(void)
{
	return write(svm->refs_fd, "4", 1) == 1 ? 0 : -errno;
}

bool fault_epoch_after(long ret)
{
	if (ret)
		svm_epoch(svm);
	nr_runs = 0;
	return fault_scan_after(0);
}

bool fault_scan_control(void)
{
	fault_scan_before();
	ksft_must(!fault_scan_tracked() && nr_runs);
	nr_runs = 0;
	return !fault_scan_after(0);
}

void fault_scan_cap(unsigned int nr)
{
	cap = nr ?: ARRAY_SIZE(runs);
}

void fault_scan_init(struct svm *s, struct target *t)
{
	svm = s;
	target = t;
	/* Touched: to fault them in is no part of a call. */
	memset(runs, 0, sizeof(runs));
	fault_scan_cap(0);
}
