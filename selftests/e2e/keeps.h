/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the programs for e2e/repairs. FILE gets a line "ready" before the move. After the
 * move FILE gets lines "NAME VALUE", and at last "end". The program recognizes the move by its new
 * PID namespace.
 */
#ifndef SELFTESTS_E2E_KEEPS_H
#define SELFTESTS_E2E_KEEPS_H

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define TICK_MS		100
#define HOUR_S		3600

static const char *report_path;
static ino_t first_ns;

static inline void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void say(const char *fmt, ...)
{
	FILE *file = fopen(report_path, "a");
	va_list args;

	if (!file)
		err(1, "%s", report_path);
	va_start(args, fmt);
	vfprintf(file, fmt, args);
	va_end(args);
	fputc('\n', file);
	fclose(file);
}

static inline ino_t pid_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : st.st_ino;
}

static inline void pause_ms(unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static inline bool moved(void)
{
	ino_t ns = pid_ns();

	return ns && ns != first_ns;
}

#endif
