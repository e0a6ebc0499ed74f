// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "base/report.h"
#include "cli/abort.h"
#include "cli/ledger_rows.h"
#include "cli/options.h"
#include "cli/settle.h"

/** struct abort_options - of the command line */
struct abort_options {
	struct settle settle;
	const char *id;
	bool json;
};

static const char *take_images_dir(void *opts, char *value)
{
	return options_path(value, &((struct abort_options *)opts)->settle.release.base);
}

static const char *take_ledger(void *opts, char *value)
{
	return options_path(value, &((struct abort_options *)opts)->settle.ledger);
}

static const struct cli_option options[] = {
	{ "force", .text = "yes, it does not run at the other end, or shall not count there:\ntwo of it would be worse than none",
	  .flag = offsetof(struct abort_options, settle.release.force) },
	{ "images-dir", "DIR", "what --images-dir of migrate was", .take = take_images_dir },
	{ "ledger", "DIR", "what --ledger of migrate or serve was", .take = take_ledger },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct abort_options, json) },
	{ "ID", .argument = true, .word = offsetof(struct abort_options, id) },
	{ 0 }
};

static const struct cli_verb verb = {
	"abort", "ID --force [OPTION]...",
	"Settle a migration of which nobody knows how it ended: a program that stands here for it goes\n"
	"on, and \"migrate-helper status\" does not list it any more.", options,
};

/** struct look - for the entries of @id */
struct look {
	const char *id, *base;
	bool force;
	size_t nr;
	struct error *err;
};

static int settle_entry(void *ctx, const struct ledger_entry *entry)
{
	struct look *look = ctx;
	const char *text = ledger_row_text(entry);

	if (strcmp(entry->id, look->id) || !text)
		return 0;
	look->nr++;
	if (!look->force)
		return error_set(look->err, CODE_USAGE, "look at the other end first; say --force when you have",
				 "migration %s: %s", entry->id, text);
	if (ledger_row_stands(entry))
		return error_set(look->err, CODE_TARGET, "give --images-dir as it was given to migrate",
				 "process %d stands here for migration %s, and its record is not found", entry->pid, entry->id);
	if (ledger_settle(look->base, entry->id, entry->side, LEDGER_ENDED, look->err))
		return -1;
	report_say("migration %s is settled", entry->id);
	report_event("settled", json_pack("{s:s}", "id", entry->id));
	return 0;
}

/* The program's process has ended with the machine, or is at the other end: there is only what was noted. */
static int settle_noted(const struct abort_options *opts, struct error *err)
{
	struct look look = {
		.id = opts->id, .base = opts->settle.ledger, .force = opts->settle.release.force, .err = err,
	};

	if (ledger_each(look.base, settle_entry, &look))
		return -1;
	return look.nr ? 0 : error_set(err, CODE_TARGET, "\"migrate-helper status\" lists migrations by their ids",
				       "there is nothing to settle of migration %s", opts->id);
}

static int run(struct abort_options *opts, struct error *err)
{
	struct error why = { 0 };

	if (!settle_release(&opts->settle, &why))
		return 0;
	/* what stands here decides, if there is any */
	if (*opts->settle.release.dir && record_stands(&opts->settle.release.record)) {
		*err = why;
		return -1;
	}
	return settle_noted(opts, err);
}

int abort_main(int argc, char **argv)
{
	struct abort_options *opts = calloc(1, sizeof(*opts));
	struct error err = { 0 };
	int code;

	if (!opts)
		return CODE_INTERNAL;
	code = options_parse(&verb, argc, argv, opts);
	if (code < 0 && !opts->id)
		code = options_wrong(&verb, "the id of the migration is missing");
	if (code < 0) {
		report_init(opts->json);
		opts->settle.release.id = opts->id;
		if (run(opts, &err))
			report_error(&err);
		code = err.code;
	}
	free(opts);
	return code;
}
