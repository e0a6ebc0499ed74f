/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP output like that of the kernel's kselftest, as far as these tests need it. The plan comes
 * last, so that cases in loops need no counting.
 */
#ifndef SPLICE_VM_SELFTESTS_KSFT_H
#define SPLICE_VM_SELFTESTS_KSFT_H

#include <stdbool.h>
#include <stdnoreturn.h>

/* As the kernel's own code spells them. */
#define __attr(a)		__attribute__((a))
#define __printf(fmt, args)	__attr(format(printf, fmt, args))

/*
 * Called first. Every test needs root and the module: without them the function skips the whole
 * program.
 */
void ksft_print_header(void);
void __printf(1, 2) ksft_print_msg(const char *fmt, ...);

/* Return: @ok, so that a caller can say more about a failure. */
bool __printf(2, 3) ksft_test_result(bool ok, const char *fmt, ...);

/* One case: @got, the value or -errno of a call, must be @want. */
bool __printf(3, 4) ksft_test_value(long got, long want, const char *fmt, ...);

/* The test itself cannot go on. Never used for a failure of the code under test. */
noreturn void __printf(1, 2) ksft_exit_fail_msg(const char *fmt, ...);

/* Prints the plan; exit code 0 only if every case passed. */
noreturn void ksft_finished(void);

/* As ksft_exit_fail_msg(), with errno. */
#define ksft_die(what)							\
	ksft_exit_fail_msg("%s:%d: %s: %m\n", __FILE__, __LINE__, what)

#define ksft_must(cond)							\
	do {								\
		if (!(cond))						\
			ksft_die(#cond);				\
	} while (0)

#endif
