// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "cli/ledger_rows.h"
#include "os/proc.h"

/** struct verdict - what an entry means, in a word and in a sentence */
struct verdict {
	const char *name, *text;
};

static const struct verdict doubt = {
	"doubt", "the program was handed over, and its process here has ended with the machine or was ended; look whether it runs there",
};
static const struct verdict stands = {
	"stands", "the program was handed over and stands here; what --images-dir of migrate was, release and abort have to be told",
};
static const struct verdict aborted = {
	"aborted", "the program was to start here and never did: it goes on at the source, or stands there",
};
static const struct verdict lost = {
	"lost", "the program ran here before all of its memory had come, and ended when this machine was booted",
};
static const struct verdict waits = {
	"waits", "the program was started here, and migrate-helper and its keeper were killed: what it lacks of its memory does not come",
};

bool ledger_row_stands(const struct ledger_entry *entry)
{
	struct error ignored = { 0 };
	struct proc_status status;

	return entry->side == LEDGER_SOURCE && !entry->rebooted && entry->pid > 0 &&
	       !proc_status_read(entry->pid, &status, &ignored) && status.start_ticks == entry->start_ticks &&
	       status.state != 'Z';
}

/* NULL: nothing is open */
static const struct verdict *verdict_of(const struct ledger_entry *entry)
{
	if (entry->lives)
		return NULL;
	if (entry->side == LEDGER_SOURCE)
		return entry->state != LEDGER_COMMITTED ? NULL : ledger_row_stands(entry) ? &stands : &doubt;
	if (entry->state == LEDGER_COMMITTED)
		return &aborted;
	if (entry->state != LEDGER_STARTED)
		return NULL;
	return entry->rebooted ? &lost : &waits;
}

const char *ledger_row_text(const struct ledger_entry *entry)
{
	const struct verdict *verdict = verdict_of(entry);

	return verdict ? verdict->text : NULL;
}

json_t *ledger_row_json(const struct ledger_entry *entry)
{
	const struct verdict *verdict = verdict_of(entry);

	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:i,s:o,s:I,s:b,s:b}", "id", entry->id,
			 "side", entry->side == LEDGER_SOURCE ? "source" : "destination",
			 "state", ledger_state_name(entry->state), "verdict", verdict ? verdict->name : "none",
			 "program", report_text(entry->program), "pid", entry->pid, "peer", report_text(entry->peer),
			 "began", (json_int_t)entry->began, "rebooted", entry->rebooted, "lives", entry->lives);
}
