// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy of every call fails in turn. A failed call has a documented
 * errno, the next call works, and no written page is lost. Runs in the debug kernel only.
 */
#include <errno.h>
#include <signal.h>

#include "fault.h"
#include "fault_cases.h"
#include "fault_scan.h"
#include "ksft.h"
#include "svm.h"

/* No call allocates and copies more often than that. */
#define NTH_MAX		1000
#define STORM_MAX	8
/* After so many they are alike: not each one is tried. */
#define NTH_EACH	40

static bool fault_is_documented(const struct fault_case *c, long ret)
{
	return ret >= 0 || ret == -ENOMEM || ret == -EFAULT || ret == c->error;
}

static bool fault_step(const struct fault_case *c, const struct fault_way *way,
		       unsigned int n, long *ret, bool *fine)
{
	bool taken;

	c->before();
	way->arm(n);
	*ret = c->call();
	taken = way->disarm();
	/* A storm may end a call before it is over. */
	*fine = fault_is_documented(c, *ret) &&
		(taken || *ret >= 0 || way == &fault_storm);
	if (!*fine)
		ksft_print_msg("%s, %s, %u: returned %ld\n", c->name,
			       way->name, n, *ret);
	if (!c->after(*ret)) {
		ksft_print_msg("%s, %s, %u: after %ld it is not right\n",
			       c->name, way->name, n, *ret);
		*fine = false;
	}
	return taken;
}

static unsigned int fault_next(unsigned int n)
{
	return n < NTH_EACH ? n + 1 : n + n / 8;
}

/* Ends where no fault is taken any more. */
static void fault_sweep(const struct fault_case *c, const struct fault_way *way,
			unsigned int max)
{
	unsigned int n, nr = 0, errors = 0, bad = 0;
	bool taken = true, fine;
	long ret;

	for (n = 1; taken && n <= max; n = fault_next(n)) {
		taken = fault_step(c, way, n, &ret, &fine);
		nr += taken;
		errors += ret < 0;
		bad += !fine;
	}
	ksft_test_result((nr || errors) && !bad &&
			 (!taken || way == &fault_storm),
			 "%s: %s: %u taken, %u errors\n", c->name, way->name, nr,
			 errors);
}

static void fault_sweep_all(const struct fault_case *c)
{
	for (; c->name; c++) {
		fault_sweep(c, &fault_nth, NTH_MAX);
		fault_sweep(c, &fault_storm, STORM_MAX);
	}
}

int main(void)
{
	const struct fault_case *c;

	ksft_print_header();
	signal(SIGPIPE, SIG_IGN);
	fault_init();
	fault_cases_init();
	for (c = fault_cases_nth; c->name; c++)
		fault_sweep(c, &fault_nth, NTH_MAX);
	fault_sweep_all(fault_cases);
	fault_sweep(&fault_swapped, &fault_storm, STORM_MAX);
	fault_sweep(&fault_scan, &fault_nth, NTH_MAX);
	fault_sweep(&fault_scan, &fault_storm, STORM_MAX);
	fault_scan_cap(9);
	ksft_print_msg("9 runs a call\n");
	fault_sweep(&fault_scan, &fault_nth, NTH_MAX);
	fault_scan_cap(0);
	ksft_test_result(fault_scan_control(), "control: lost runs are seen\n");
	if (svm_has_tracker(SPLICE_VM_TRACKER_EVENTS)) {
		fault_cases_unprotect();
		fault_sweep_all(fault_cases_unprotected);
		fault_cases_protect_again();
		fault_sweep_all(fault_cases_protect);
	}
	fault_cases_end();
	ksft_finished();
}
