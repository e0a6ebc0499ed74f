// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include "dest/attribute_results.h"

void attribute_failed(struct attribute_results *results, Migrate__AttributeKind kind,
		      const char *fmt, ...)
{
	struct attribute_result *result = &results->of[kind];
	va_list args;

	if (result->failed++)
		return;
	va_start(args, fmt);
	vsnprintf(result->detail, sizeof(result->detail), fmt, args);
	va_end(args);
}

void attribute_set(struct attribute_results *results, Migrate__AttributeKind kind,
		   const char *fmt, ...)
{
	struct attribute_result *result = &results->of[kind];
	va_list args;

	if (result->set++ || result->failed)
		return;
	va_start(args, fmt);
	vsnprintf(result->detail, sizeof(result->detail), fmt, args);
	va_end(args);
}
