// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include <stdlib.h>
#include "base/report.h"
#include "cli/options.h"
#include "cli/release.h"
#include "cli/settle.h"

/** struct release_options - of the command line */
struct release_options {
	struct settle settle;
	bool json;
};

static const char *take_pid(void *opts, char *value)
{
	unsigned long pid = 0;
	const char *want = options_number(value, 1, INT_MAX, &pid);

	((struct release_options *)opts)->settle.release.pid = pid;
	return want;
}

static const char *take_images_dir(void *opts, char *value)
{
	return options_path(value, &((struct release_options *)opts)->settle.release.base);
}

static const char *take_ledger(void *opts, char *value)
{
	return options_path(value, &((struct release_options *)opts)->settle.ledger);
}

static const struct cli_option options[] = {
	{ "pid", "PID", "the program; \"migrate-helper status\" lists those in doubt",
	  .take = take_pid },
	{ "force", .text = "yes, it does not run there: two of it would be worse than none",
	  .flag = offsetof(struct release_options, settle.release.force) },
	{ "images-dir", "DIR", "what --images-dir of migrate was", .take = take_images_dir },
	{ "ledger", "DIR", "what --ledger of migrate was", .take = take_ledger },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct release_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"release", "--pid PID [--force] [OPTION]...",
	"Let a program that was handed over, and does not run at the destination, go on here.",
	options,
};

int release_main(int argc, char **argv)
{
	struct release_options *opts = calloc(1, sizeof(*opts));
	struct error err = { 0 };
	int code;

	if (!opts)
		return CODE_INTERNAL;
	code = options_parse(&verb, argc, argv, opts);
	if (code < 0 && !opts->settle.release.pid)
		code = options_wrong(&verb, "--pid is missing");
	if (code < 0) {
		report_init(opts->json);
		if (settle_release(&opts->settle, &err))
			report_error(&err);
		code = err.code;
	}
	free(opts);
	return code;
}
