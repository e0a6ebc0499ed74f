// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"

static int error_fill(struct error *err, enum exit_code code, int os_errno,
		      const char *hint, const char *fmt, va_list args)
{
	size_t len;

	if (!err || error_is_set(err))
		return -1;
	err->code = code;
	err->os_errno = os_errno;
	vsnprintf(err->what, sizeof(err->what), fmt, args);
	len = strlen(err->what);
	if (os_errno)
		snprintf(err->what + len, sizeof(err->what) - len, ": %s",
			 strerrordesc_np(os_errno) ?: "unknown error");
	snprintf(err->hint, sizeof(err->hint), "%s", hint ?: "");
	return -1;
}

int error_set(struct error *err, enum exit_code code, const char *hint,
	      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error_fill(err, code, 0, hint, fmt, args);
	va_end(args);
	return -1;
}

int error_errno(struct error *err, enum exit_code code, const char *hint,
		const char *fmt, ...)
{
	int os_errno = errno;
	va_list args;

	va_start(args, fmt);
	error_fill(err, code, os_errno, hint, fmt, args);
	va_end(args);
	return -1;
}

const char *error_code_name(enum exit_code code)
{
	switch (code) {
	case CODE_OK:
		return "ok";
	case CODE_USAGE:
		return "usage";
	case CODE_NOT_READY:
		return "not-ready";
	case CODE_REFUSED:
		return "refused";
	case CODE_PEER:
		return "peer";
	case CODE_NETWORK:
		return "network";
	case CODE_CRIU:
		return "criu";
	case CODE_TARGET:
		return "target";
	case CODE_ABORTED:
		return "aborted";
	case CODE_VERIFY:
		return "verify";
	case CODE_DOUBT:
		return "doubt";
	case CODE_LOST:
		return "lost";
	case CODE_INTERNAL:
		return "internal";
	}
	return "unknown";
}
