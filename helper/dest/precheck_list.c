// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"
#include "dest/precheck_list.h"

#define REFUSAL_MAX_BYTES	480

void precheck_refuse(struct refusals *refusals, const char *fmt, ...)
{
	size_t max = sizeof(refusals->text) / sizeof(*refusals->text);
	char **text = &refusals->text[refusals->nr];
	va_list args;

	if (refusals->nr == max)
		return;
	va_start(args, fmt);
	/* the sentence has paths and names from the source */
	if (vasprintf(text, fmt, args) >= 0) {
		text_clean(text, REFUSAL_MAX_BYTES);
		refusals->nr++;
	}
	va_end(args);
}

void precheck_free(struct refusals *refusals)
{
	for (size_t i = 0; i < refusals->nr; i++)
		free(refusals->text[i]);
	refusals->nr = 0;
}
