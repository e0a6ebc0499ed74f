/* SPDX-License-Identifier: GPL-2.0 */
/* A session of the module, as the user sees it. */
#ifndef MIGRATE_CLI_SESSION_ROWS_H
#define MIGRATE_CLI_SESSION_ROWS_H

#include <jansson.h>
#include <stddef.h>
#include "backend/sessions.h"

/** session_json() - all of it, as an object; what it has not is absent */
json_t *session_json(const struct session *session);

/** session_event_name() - stable name of an event, as "epoch"; NULL when it is none */
const char *session_event_name(int cmd);

/** session_tracker_name() - stable name of SPLICE_VM_TRACKER_*, "?" when unknown */
const char *session_tracker_name(uint32_t tracker);

/** session_row() - a line of a table, under session_head */
void session_row(const struct session *session, const char *program, char *text, size_t size);
extern const char session_head[];

/** session_event_text() - what happened, for people */
void session_event_text(const struct session *session, char *text, size_t size);

#endif
