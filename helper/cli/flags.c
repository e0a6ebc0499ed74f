// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include "base/error.h"
#include "cli/flags.h"

#define FLAGS_MAX	8

int flags_parse(int argc, char **argv, const char *text, const struct flag *flags)
{
	struct option table[FLAGS_MAX + 2] = { { "help", no_argument, NULL, FLAGS_MAX } };
	int i, got;

	for (i = 0; i < FLAGS_MAX && flags[i].name; i++)
		table[i + 1] = (struct option){ flags[i].name, no_argument, NULL, i };
	optind = 1;
	while ((got = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
		if (got == FLAGS_MAX || got == 'h') {
			fputs(text, stdout);
			return CODE_OK;
		}
		if (got >= i)
			break;
		*flags[got].set = true;
	}
	if (got < 0 && optind == argc)
		return -1;
	if (got < 0)
		fprintf(stderr, "migrate-helper: \"%s\" is not expected\n\n", argv[optind]);
	fputs(text, stderr);
	return CODE_USAGE;
}
