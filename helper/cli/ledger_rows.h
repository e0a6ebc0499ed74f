/* SPDX-License-Identifier: GPL-2.0 */
/* An entry of the ledger in words and as JSON. */
#ifndef MIGRATE_CLI_LEDGER_ROWS_H
#define MIGRATE_CLI_LEDGER_ROWS_H

#include <jansson.h>
#include "session/ledger.h"

/** ledger_row_stands() - the process of the program is there, stopped: the entry is of this machine and this boot */
bool ledger_row_stands(const struct ledger_entry *entry);

/** ledger_row_text() - what is known of a migration that nobody has in hand; NULL: nothing that a person must know */
const char *ledger_row_text(const struct ledger_entry *entry);

/** ledger_row_json() - the same as an object; @verdict in it: "doubt", "stands", "lost", "aborted", "waits" */
json_t *ledger_row_json(const struct ledger_entry *entry);

#endif
