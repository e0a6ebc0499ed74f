/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the user sees. With --json one JSON object a line on stdout, each with
 * "event"; else lines of text on stderr, where a terminal also gets a progress line
 * that is written over, and results on stdout. Any thread may call. Text is made printable here
 * (base/text.h), whoever it came from.
 */
#ifndef MIGRATE_BASE_REPORT_H
#define MIGRATE_BASE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"

/** report_init() - once, before anything else: what the command line asked for */
void report_init(bool json);
/** report_share_output() - other processes of ours write there as well: nobody waits for a reader */
void report_share_output(void);
/** report_wait() - whether the reader gets OUT_WAIT_MS, once; unless said he does */
void report_wait(bool wait);
bool report_is_json(void);

/**
 * report_event() - a line of JSON; nothing for people
 * @event: name, as "round"
 * @fields: object whose members are added, or NULL; the reference is taken over
 */
void report_event(const char *event, json_t *fields);

/** report_text() - a JSON string of any bytes, printable (base/text.h) */
json_t *report_text(const char *text);

/** report_say() - a line for people; with --json an event "message" */
void report_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** report_progress() - the line that is written over; nothing where there is no terminal */
void report_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** report_delays() - a test makes states last longer */
bool report_delays(void);

/** report_print() - part of a result for people, on stdout; nothing with --json */
void report_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * report_state_begin() - a named state is entered
 *
 * Return: for how many milliseconds the caller shall sleep now: MIGRATE_HELPER_STATE_DELAY_MS of
 * the environment, so that tests can break things there
 */
int report_state_begin(const char *state);

/** report_error() - what, and what to do; with --json an event "error" */
void report_error(const struct error *err);

#endif
