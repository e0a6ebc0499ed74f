// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/out.h"
#include "base/report.h"
#include "base/text.h"

/* One for the whole process: a process has one standard output. */
static struct {
	pthread_mutex_t lock;
	bool json, tty;
	bool open_line;		/* the terminal's last line is a progress line */
	int state_delay_ms;
	const char *delay_from;	/* states, with commas: those before any of these are not longer */
	struct out results, messages;	/* standard output, standard error */
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.results = { .fd = STDOUT_FILENO },
	.messages = { .fd = STDERR_FILENO },
};

void report_init(bool json)
{
	const char *delay = getenv("MIGRATE_HELPER_STATE_DELAY_MS");

	out.json = json;
	out.tty = !json && isatty(STDERR_FILENO);
	out.state_delay_ms = delay ? atoi(delay) : 0;
	out.delay_from = getenv("MIGRATE_HELPER_STATE_DELAY_FROM");
}

void report_share_output(void)
{
	out_own(out.results.fd);
	out_own(out.messages.fd);
}

void report_wait(bool wait)
{
	out.results.no_wait = out.messages.no_wait = !wait;
}

bool report_is_json(void)
{
	return out.json;
}

static double now(void)
{
	return clock_ns(CLOCK_REALTIME) / CLOCK_NS_PER_MS / 1000.0;
}

/* The caller holds the lock. @text: one or several whole lines */
static void put(struct out *to, const char *text)
{
	unsigned int lost = to->lost;
	char note[80];

	if (!out_write(to, text, strlen(text)) || !lost)
		return;
	to->lost = 0;
	if (out.json && to == &out.results)
		snprintf(note, sizeof(note), "{\"event\":\"output-lost\",\"lines\":%u}\n", lost);
	else
		snprintf(note, sizeof(note), "(%u lines before this one were not read in time)\n",
			 lost);
	out_write(to, note, strlen(note));
}

static void put_line(struct out *to, const char *text)
{
	char *line = NULL;

	if (asprintf(&line, "%s\n", text) < 0)
		return;
	put(to, line);
	free(line);
}

void report_event(const char *event, json_t *fields)
{
	json_t *line;
	char *text;

	if (!out.json) {
		json_decref(fields);
		return;
	}
	line = json_pack("{s:s,s:f}", "event", event, "time", now());
	if (line && fields)
		json_object_update(line, fields);
	text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(13)) : NULL;
	if (text) {
		pthread_mutex_lock(&out.lock);
		put_line(&out.results, text);
		pthread_mutex_unlock(&out.lock);
	}
	free(text);
	json_decref(line);
	json_decref(fields);
}

json_t *report_text(const char *text)
{
	char plain[TEXT_MAX];

	text_printable(plain, sizeof(plain), text);
	return json_string(plain);
}

static void close_line(void)
{
	if (out.open_line)
		put(&out.messages, "\n");
	out.open_line = false;
}

void report_say(const char *fmt, ...)
{
	char raw[TEXT_MAX], text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	/* a program's name and the other machine's text can have any bytes */
	text_printable(text, sizeof(text), raw);
	if (out.json) {
		report_event("message", json_pack("{s:s}", "text", text));
		return;
	}
	pthread_mutex_lock(&out.lock);
	close_line();
	put_line(&out.messages, text);
	pthread_mutex_unlock(&out.lock);
}

void report_both(const char *event, json_t *fields, const char *text)
{
	if (!out.json) {
		json_decref(fields);
		report_say("%s", text);
		return;
	}
	if (!fields)
		fields = json_object();
	json_object_set_new(fields, "text", report_text(text));
	report_event(event, fields);
}

void report_progress(const char *fmt, ...)
{
	char raw[TEXT_MAX], text[TEXT_MAX], line[TEXT_MAX + 8];
	va_list args;

	if (!out.tty)
		return;
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text_printable(text, sizeof(text), raw);
	pthread_mutex_lock(&out.lock);
	snprintf(line, sizeof(line), "\r\033[K%s", text);
	put(&out.messages, line);
	out.open_line = true;
	pthread_mutex_unlock(&out.lock);
}

void report_print(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int bytes;

	if (out.json)
		return;
	va_start(args, fmt);
	bytes = vasprintf(&text, fmt, args);
	va_end(args);
	if (bytes < 0)
		return;
	pthread_mutex_lock(&out.lock);
	close_line();
	put(&out.results, text);
	pthread_mutex_unlock(&out.lock);
	free(text);
}

bool report_delays(void)
{
	return out.state_delay_ms > 0;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (; words; words = strchr(words, ',')) {
		words += *words == ',';
		if (!strncmp(words, word, length) && (!words[length] || words[length] == ','))
			return true;
	}
	return false;
}

int report_state_begin(const char *state)
{
	report_event("state", json_pack("{s:s}", "state", state));
	if (has_word(out.delay_from, state))
		out.delay_from = NULL;
	return out.state_delay_ms > 0 && !out.delay_from ? out.state_delay_ms : 0;
}

void report_error(const struct error *err)
{
	char what[TEXT_MAX], hint[TEXT_MAX], line[TEXT_MAX + 32];

	if (out.json) {
		report_event("error", json_pack("{s:s,s:i,s:o,s:o}",
						"code", error_code_name(err->code),
						"exit", err->code,
						"what", report_text(err->what),
						"hint", report_text(err->hint)));
		return;
	}
	text_printable(what, sizeof(what), err->what);
	text_printable(hint, sizeof(hint), err->hint);
	pthread_mutex_lock(&out.lock);
	close_line();
	snprintf(line, sizeof(line), "migrate-helper: %s", what);
	put_line(&out.messages, line);
	snprintf(line, sizeof(line), "  %s", hint);
	if (*hint)
		put_line(&out.messages, line);
	pthread_mutex_unlock(&out.lock);
}
