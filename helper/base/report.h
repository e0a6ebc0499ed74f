/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The output for the user. With --json stdout gets one JSON object a line, each with an "event".
 * Without --json stderr gets lines of text, stdout the results, and a terminal a progress line that
 * overwrites itself. Any thread may call. All text is made printable (base/text.h).
 */
#ifndef MIGRATE_BASE_REPORT_H
#define MIGRATE_BASE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"

/** report_init() - call once, before any other function of this file. @json: --json was given */
void report_init(bool json);
/** report_share_output() - several processes write: writes never wait for a reader from now on */
void report_share_output(void);
/** report_wait() - whether writes wait OUT_WAIT_MS for a slow reader; they do by default */
void report_wait(bool wait);
bool report_is_json(void);

/**
 * report_event() - print a line of JSON; prints nothing without --json
 * @event: name, as "round"
 * @fields: object whose members are added to the line, or NULL; the function takes the reference
 */
void report_event(const char *event, json_t *fields);

/** report_text() - a JSON string of @text, made printable (base/text.h) */
json_t *report_text(const char *text);

/** report_say() - print a line of text; with --json an event "message" */
void report_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * report_both() - with --json an event with a member "text", else a line of text
 * @fields: further members, whose reference the function takes; may be NULL
 */
void report_both(const char *event, json_t *fields, const char *text);

/** report_progress() - replace the progress line; prints nothing when stderr is no terminal */
void report_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** report_delays() - true when MIGRATE_HELPER_STATE_DELAY_MS of a test makes states last longer */
bool report_delays(void);

/** report_print() - print a part of the text result on stdout; prints nothing with --json */
void report_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * report_state_begin() - report that the migration enters @state
 *
 * Return: milliseconds that the caller sleeps now (MIGRATE_HELPER_STATE_DELAY_MS of the
 * environment), so that a test can break a process in this state; 0 before the first state of
 * MIGRATE_HELPER_STATE_DELAY_FROM, if that is set
 */
int report_state_begin(const char *state);

/** report_error() - print @err.what and @err.hint; with --json an event "error" */
void report_error(const struct error *err);

#endif
