/* SPDX-License-Identifier: GPL-2.0 */
/* A session of the module as text and as JSON. */
#ifndef MIGRATE_CLI_SESSION_ROWS_H
#define MIGRATE_CLI_SESSION_ROWS_H

#include <jansson.h>
#include <stddef.h>
#include "backend/sessions.h"

/** session_json() - all fields as an object; fields without a value are absent */
json_t *session_json(const struct session *session);

/** session_event_name() - stable name of an event, as "epoch"; NULL: @cmd is no known event */
const char *session_event_name(int cmd);

/** session_tracker_name() - stable name of SPLICE_VM_TRACKER_*, "?" when unknown */
const char *session_tracker_name(uint32_t tracker);

/** session_row() - print a line of the table with the head session_head */
void session_row(const struct session *session, const char *program, char *text, size_t size);
extern const char session_head[];

/** session_event_text() - print an event as a sentence */
void session_event_text(const struct session *session, char *text, size_t size);

#endif
