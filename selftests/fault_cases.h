/* SPDX-License-Identifier: GPL-2.0 */
/* Calls that are made to fail. */
#ifndef SPLICE_VM_SELFTESTS_FAULT_CASES_H
#define SPLICE_VM_SELFTESTS_FAULT_CASES_H

#include <stdbool.h>

/**
 * struct fault_case - a call that is to fail
 * @name: for people
 * @before: makes ready for the next call; no faults here
 * @call: the call. Return: its value or -errno
 * @after: is all as it should be? Given what @call returned
 * @error: -errno that it may give besides ENOMEM and EFAULT, or 0
 */
struct fault_case {
	const char *name;
	void (*before)(void);
	long (*call)(void);
	bool (*after)(long ret);
	int error;
};

/* Of all kinds of faults, and only of one at a time; they end with one without a name. */
extern const struct fault_case fault_cases[];
extern const struct fault_case fault_cases_nth[];
/* With the write-protect tracker: while it runs, and of its beginning. */
extern const struct fault_case fault_cases_protect[];
extern const struct fault_case fault_cases_unprotected[];
extern const struct fault_case fault_scan;
/* A page that could not be brought in, when copies do not fail. */
extern const struct fault_case fault_swapped;

void fault_cases_init(void);
void fault_cases_end(void);
/* The session ends, and the next ones take the write-protect tracker; one begins. */
void fault_cases_unprotect(void);
void fault_cases_protect_again(void);

#endif
