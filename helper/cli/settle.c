// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "cli/settle.h"

int settle_release(struct settle *settle, struct error *err)
{
	struct release *release = &settle->release;
	char id[LEDGER_ID_BYTES];

	if (release_find(release, err) || release_let_go(release, err))
		return -1;
	report_say(release->record.guard.pidfd < 0 ?
		   "process %d has ended; the rest of its program goes on here" :
		   "process %d goes on here", release->pid);
	report_event("released", json_pack("{s:i}", "pid", release->pid));
	record_id(release->dir, id);
	/* a migration from before there was a ledger has no entry */
	ledger_settle(settle->ledger, id, LEDGER_SOURCE, LEDGER_ABORTED, &(struct error){ 0 });
	return 0;
}
