// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/sessions.h"
#include "base/report.h"
#include "base/text.h"
#include "cli/ledger_rows.h"
#include "cli/options.h"
#include "cli/session_rows.h"
#include "cli/status.h"
#include "dest/arrived.h"
#include "os/proc.h"
#include "source/release.h"

#define WATCH_SECONDS	1

/** struct table - one look at all sessions; @list: for JSON */
struct table {
	json_t *list;
	size_t rows;
};

/* Print the present name of the session's target. */
static void program_name(const struct session *session, char *name, size_t size)
{
	struct proc_status status;
	struct error err = { 0 };

	snprintf(name, size, "-");
	if (session->attached && !session->gone && session->pid &&
	    !proc_status_read(session->pid, &status, &err))
		snprintf(name, size, "%s", status.comm);
}

static int add_row(void *ctx, const struct session *session, struct error *err)
{
	struct table *table = ctx;
	char text[256], name[32];

	if (!table->rows++)
		report_print("%s\n", session_head);
	program_name(session, name, sizeof(name));
	session_row(session, name, text, sizeof(text));
	report_print("%s\n", text);
	json_array_append_new(table->list, session_json(session));
	return 0;
}

/**
 * struct standing - programs that a migration has stopped here; JSON arrays
 * @handed_over: programs with a record of COMMIT, also when their helper lives
 * @alone: programs without such a record whose helper and keeper are dead
 */
struct standing {
	json_t *handed_over, *alone;
};

static int add_record(void *ctx, const char *dir, enum record_kind kind,
		      const struct record *record)
{
	struct standing *standing = ctx;
	pid_t pid = record->guard.pid;
	bool alone = record_is_alone(dir, kind);
	char id[LEDGER_ID_BYTES];

	record_id(dir, id);
	if (!record_stands(record) || (kind == RECORD_GUARD && !alone))
		return 0;
	if (!record_process_is(record))
		report_print("the root of the program is dead: the rest stands in control group %s; kill -9 $(cat $(find %s -name cgroup.procs)) ends the rest\n",
			     record->guard.group.dir, record->guard.group.dir);
	if (kind == RECORD_COMMIT && !alone)
		report_print("process %d was handed over to %s and stands here; its migration %s is not over\n",
			     pid, record->to, id);
	else if (kind == RECORD_COMMIT)
		report_print("process %d was handed over to %s and stands here (migration %s); if it does not run there: migrate-helper release --pid %d --force\n",
			     pid, record->to, id, pid);
	else
		report_print("process %d stands here since a migration to %s whose helper and keeper have ended: migrate-helper release --pid %d\n",
			     pid, record->to, pid);
	json_array_append_new(kind == RECORD_COMMIT ? standing->handed_over : standing->alone,
			      json_pack("{s:i,s:s,s:s,s:s,s:b}", "pid", pid, "to", record->to, "dir",
					dir, "id", id, "in_doubt", alone));
	return 0;
}

static void add_object(const json_t *object, char *text, size_t size)
{
	size_t len = strlen(text);
	long mib = json_integer_value(json_object_get(object, "pages")) >> 8;

	if (json_object_get(object, "pid"))
		snprintf(text + len, size - len, " %lld (%ld MiB)", json_integer_value(json_object_get(object, "pid")), mib);
	else
		snprintf(text + len, size - len, " shared memory (%ld MiB)", mib);
}

static int add_arriving(void *ctx, const char *dir, const json_t *arrived)
{
	json_t *objects = json_object_get(arrived, "objects"), *object, *copy;
	size_t size = 64 * (json_array_size(objects) + 1), at;
	char *text = calloc(1, size);

	json_array_foreach(objects, at, object)
		if (text)
			add_object(object, text, size);
	report_print("a program arrives, of which round %lld is here (%s); processes at the source:%s\n",
		     json_integer_value(json_object_get(arrived, "round")), dir, text ? text : "");
	free(text);
	copy = json_copy((json_t *)arrived);
	json_object_set_new(copy, "dir", json_string(dir));
	json_array_append_new(ctx, copy);
	return 0;
}

/* Those of programs that stand here are among the records, which say more. */
static int add_noted(void *ctx, const struct ledger_entry *entry)
{
	struct release release = { .id = entry->id };
	const char *text = ledger_row_text(entry), *program = *entry->program ? entry->program : "a program";
	char who[2 * sizeof(entry->program)], peer[2 * sizeof(entry->peer)];

	if (!text)
		return 0;
	release_find(&release, &(struct error){ 0 });
	if (entry->side == LEDGER_SOURCE && *release.dir && record_stands(&release.record))
		return 0;
	text_printable(who, sizeof(who), program);
	text_printable(peer, sizeof(peer), entry->peer);
	report_print("migration %s of %s, %s %s: %s. When it is settled: migrate-helper abort %s --force\n", entry->id, who,
		     entry->side == LEDGER_SOURCE ? "to" : "from", *peer ? peer : "?", text, entry->id);
	json_array_append_new(ctx, ledger_row_json(entry));
	return 0;
}

/* @sessions: JSON array, whose reference the function takes; NULL: no answer from the module */
static void say_status(json_t *sessions, const char *ledger)
{
	struct standing standing = { .handed_over = json_array(), .alone = json_array() };
	json_t *arriving = json_array(), *noted = json_array(), *fields;

	record_each(NULL, add_record, &standing);
	arrived_each(NULL, add_arriving, arriving);
	ledger_each(ledger, add_noted, noted);
	fields = json_pack("{s:o,s:o,s:o,s:o}", "handed_over", standing.handed_over, "alone",
			   standing.alone, "arriving", arriving, "ledger", noted);
	if (sessions)
		json_object_set_new(fields, "sessions", sessions);
	report_event("status", fields);
}

static int look(struct sessions *sessions, const char *ledger, struct error *err)
{
	struct table table = { .list = json_array() };

	if (sessions_dump(sessions, add_row, &table, err)) {
		json_decref(table.list);
		return -1;
	}
	if (!table.rows)
		report_print("no sessions\n");
	say_status(table.list, ledger);
	return 0;
}

static int watch(struct sessions *sessions, const char *ledger, struct error *err)
{
	bool tty = !report_is_json() && isatty(STDOUT_FILENO);

	for (;;) {
		if (tty)
			report_print("\033[H\033[J");
		if (look(sessions, ledger, err))
			return -1;
		if (!tty)
			report_print("\n");
		sleep(WATCH_SECONDS);
	}
}

/** struct status_options - @watch: look again each second; @ledger: directory; NULL: the default */
struct status_options {
	bool json, watch;
	const char *ledger;
};

static const char *take_ledger(void *opts, char *value)
{
	return options_path(value, &((struct status_options *)opts)->ledger);
}

static const struct cli_option options[] = {
	{ "watch", .text = "again every second", .flag = offsetof(struct status_options, watch) },
	{ "ledger", "DIR", "what --ledger of migrate and serve is", .take = take_ledger },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct status_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"status", "[OPTION]...",
	"List the sessions of the module with their targets and counters, the programs that were\n"
	"handed over and stand here, those that arrive here, and migrations of which nobody knows how\n"
	"they ended, also after a reboot.", options,
};

int status_main(int argc, char **argv)
{
	struct status_options opts = { 0 };
	int code = options_parse(&verb, argc, argv, &opts);
	struct error err = { 0 };
	struct sessions sessions;

	if (code >= 0)
		return code;
	report_init(opts.json);
	if (sessions_open(&sessions, false, &err)) {
		/* show stopped programs also when the module is not loaded */
		say_status(NULL, opts.ledger);
	} else {
		if (opts.watch)
			watch(&sessions, opts.ledger, &err);
		else
			look(&sessions, opts.ledger, &err);
		sessions_close(&sessions);
	}
	if (error_is_set(&err))
		report_error(&err);
	return err.code;
}
