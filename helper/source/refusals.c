// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include "base/report.h"
#include "source/refusals.h"

static void refusal_say(const char *text, const char *hint)
{
	report_say("refused: %s%s%s", text, *hint ? ": " : "", hint);
}

void refuse(struct refusals *refusals, const char *hint, const char *fmt, ...)
{
	struct error *first = &refusals->first;
	char text[384];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(first, CODE_REFUSED, hint, "%s", text);
	if (refusals->quiet) {
		refusals->nr++;
		return;
	}
	report_event("refused", json_pack("{s:o,s:s}", "reason", report_text(text),
					  "hint", hint ?: ""));
	if (++refusals->nr == 2)
		refusal_say(first->what, first->hint);
	if (refusals->nr > 1)
		refusal_say(text, hint ?: "");
}

int refusals_end(const struct refusals *refusals, pid_t pid, struct error *err)
{
	if (refusals->nr > 1)
		return error_set(err, CODE_REFUSED, NULL,
				 "process %d cannot be moved, for the %zu reasons above", pid,
				 refusals->nr);
	if (refusals->nr)
		*err = refusals->first;
	return refusals->nr ? -1 : 0;
}
