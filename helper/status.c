// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>
#include "kernel/proc.h"
#include "kernel/sessions.h"
#include "source/record.h"
#include "status.h"
#include "ui/flags.h"
#include "ui/report.h"
#include "ui/session.h"

#define WATCH_SECONDS	1

/** struct table - one look at all sessions; @list: for JSON */
struct table {
	json_t *list;
	size_t rows;
};

/* The name that the process has now. */
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

/* Programs that were handed over, whoever looks after them. */
static int add_record(void *ctx, const char *dir, const struct record *record)
{
	json_t *list = ctx;

	if (!record_process_is(record))
		return 0;
	report_print("process %d was handed over to %s and stands here; if it does not run there: migrate-helper release --pid %d --force\n",
		     record->guard.pid, record->to, record->guard.pid);
	json_array_append_new(list, json_pack("{s:i,s:s,s:s}", "pid", record->guard.pid, "to",
					      record->to, "dir", dir));
	return 0;
}

static int look(struct sessions *sessions, struct error *err)
{
	struct table table = { .list = json_array() };
	json_t *handed_over;

	if (sessions_dump(sessions, add_row, &table, err)) {
		json_decref(table.list);
		return -1;
	}
	if (!table.rows)
		report_print("no sessions\n");
	handed_over = json_array();
	record_each(NULL, add_record, handed_over);
	report_event("status", json_pack("{s:o,s:o}", "sessions", table.list, "handed_over",
					 handed_over));
	return 0;
}

static int watch(struct sessions *sessions, struct error *err)
{
	bool tty = !report_is_json() && isatty(STDOUT_FILENO);

	for (;;) {
		if (tty)
			report_print("\033[H\033[J");
		if (look(sessions, err))
			return -1;
		if (!tty)
			report_print("\n");
		sleep(WATCH_SECONDS);
	}
}

static const char usage[] =
	"Usage: migrate-helper status [OPTION]...\n"
	"Say who has a session of the module on whom and how far it is, and which programs were\n"
	"handed over and stand here.\n\n"
	"  --watch   again every second\n"
	"  --json    one JSON object a line\n"
	"  --help\n";

int status_main(int argc, char **argv)
{
	bool json = false, again = false;
	const struct flag flags[] = { { "json", &json }, { "watch", &again }, { 0 } };
	int code = flags_parse(argc, argv, usage, flags);
	struct error err = { 0 };
	struct sessions sessions;
	json_t *handed_over;

	if (code >= 0)
		return code;
	report_init(json);
	if (sessions_open(&sessions, false, &err)) {
		/* a program that stands wants to be seen without the module too */
		handed_over = json_array();
		record_each(NULL, add_record, handed_over);
		report_event("status", json_pack("{s:o}", "handed_over", handed_over));
	} else {
		if (again)
			watch(&sessions, &err);
		else
			look(&sessions, &err);
		sessions_close(&sessions);
	}
	if (error_is_set(&err))
		report_error(&err);
	return err.code;
}
