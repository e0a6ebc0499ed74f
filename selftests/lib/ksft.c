// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/splice_vm.h>

#include "ksft.h"

#define KSFT_PASS	0
#define KSFT_FAIL	1
#define KSFT_SKIP	4

static unsigned int ksft_passed, ksft_failed;

static void ksft_require(bool ok, const char *what)
{
	if (ok)
		return;
	printf("1..0 # SKIP %s\n", what);
	exit(KSFT_SKIP);
}

void ksft_print_header(void)
{
	/* Children share the buffer: a line must not be printed twice. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	ksft_require(!geteuid(), "not root");
	ksft_require(!access(SPLICE_VM_DEVICE, F_OK),
		     "no " SPLICE_VM_DEVICE ": the module is not loaded");
}

void ksft_print_msg(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# ");
	vprintf(fmt, args);
	va_end(args);
}

static void ksft_count(bool ok)
{
	if (ok)
		ksft_passed++;
	else
		ksft_failed++;
	printf("%s %u ", ok ? "ok" : "not ok", ksft_passed + ksft_failed);
}

bool ksft_test_result(bool ok, const char *fmt, ...)
{
	va_list args;

	ksft_count(ok);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	return ok;
}

static void ksft_print_value(long value)
{
	if (value < 0 && value > -4096)
		printf("-%s", strerrorname_np(-value) ?: "errno");
	else
		printf("%ld", value);
}

bool ksft_test_value(long got, long want, const char *fmt, ...)
{
	va_list args;

	ksft_count(got == want);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	if (got != want) {
		printf("# got ");
		ksft_print_value(got);
		printf(", want ");
		ksft_print_value(want);
		printf("\n");
	}
	return got == want;
}

void ksft_exit_fail_msg(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("Bail out! ");
	vprintf(fmt, args);
	va_end(args);
	exit(KSFT_FAIL);
}

void ksft_finished(void)
{
	printf("1..%u\n", ksft_passed + ksft_failed);
	printf("# Totals: pass:%u fail:%u\n", ksft_passed, ksft_failed);
	exit(ksft_failed ? KSFT_FAIL : KSFT_PASS);
}
