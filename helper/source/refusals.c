// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/report.h"
#include "source/refusals.h"

static void refusal_say(const char *text, const char *hint)
{
	report_say("refused: %s%s%s", text, *hint ? ": " : "", hint);
}

/* The program is refused all the same when there is no memory to say why: @nr counts it. */
static void refusals_keep(struct refusals *refusals, const char *text, const char *hint)
{
	struct error *all = realloc(refusals->reasons, (refusals->nr_kept + 1) * sizeof(*all));

	if (!all)
		return;
	refusals->reasons = all;
	all += refusals->nr_kept++;
	memset(all, 0, sizeof(*all));
	error_set(all, CODE_REFUSED, hint, "%s", text);
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
		refusals_keep(refusals, text, hint);
		return;
	}
	report_event("refused", json_pack("{s:o,s:s}", "reason", report_text(text),
					  "hint", hint ?: ""));
	if (++refusals->nr == 2)
		refusal_say(first->what, first->hint);
	if (refusals->nr > 1)
		refusal_say(text, hint ?: "");
}

void refusals_take(struct refusals *refusals, const struct refusals *own)
{
	for (size_t i = 0; i < own->nr_kept; i++)
		refuse(refusals, own->reasons[i].hint, "%s", own->reasons[i].what);
	if (own->nr && !own->nr_kept)
		refuse(refusals, own->first.hint, "%s", own->first.what);
}

uint64_t refusals_digest(const struct refusals *refusals)
{
	uint64_t digest = refusals->nr;

	for (size_t i = 0; i < refusals->nr_kept; i++)
		digest = XXH3_64bits_withSeed(refusals->reasons[i].what,
					      strlen(refusals->reasons[i].what), digest);
	return digest;
}

void refusals_free(struct refusals *refusals)
{
	free(refusals->reasons);
	refusals->reasons = NULL;
	refusals->nr_kept = 0;
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
