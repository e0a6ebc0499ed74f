// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded, it makes io_uring_setup() fail as where containers run: libuv makes rings whatever it is told,
 * and calls syscall() for it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

long syscall(long nr, ...)
{
	static long (*real)(long nr, ...);
	long args[6];
	va_list list;

	if (nr == SYS_io_uring_setup) {
		errno = EPERM;
		return -1;
	}
	va_start(list, nr);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (!real)
		real = (long (*)(long nr, ...))dlsym(RTLD_NEXT, "syscall");
	return real(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}
