// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include "kernel/sessions.h"
#include "monitor.h"
#include "ui/report.h"
#include "ui/session.h"

static int say(void *ctx, const struct session *session, struct error *err)
{
	const char *name = session_event_name(session->cmd);
	char text[256];

	/* A newer module may tell more. */
	if (!name)
		return 0;
	session_event_text(session, text, sizeof(text));
	report_print("%s\n", text);
	report_event(name, session_json(session));
	return 0;
}

/* Return: only after an error */
static void monitor(struct sessions *sessions, struct error *err)
{
	bool lost = false;

	report_say("listening for events of the module");
	while (!sessions_listen(sessions, say, NULL, &lost, err)) {
		if (!lost)
			continue;
		report_print("some events were lost: `migrate-helper status` says how it is now\n");
		report_event("lost", NULL);
	}
}

/* Return: -1 to go on, else an exit code */
static int parse(int argc, char **argv, bool *json)
{
	static const char text[] = "Usage: migrate-helper monitor [--json]\n"
				   "Say what becomes of the module's sessions, until it is interrupted.\n\n"
				   "  --json    one JSON object a line\n"
				   "  --help\n";
	static const struct option table[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0) {
		if (option == 'h')
			fputs(text, stdout);
		if (option != 'j')
			return option == 'h' ? CODE_OK : (fputs(text, stderr), CODE_USAGE);
		*json = true;
	}
	if (optind == argc)
		return -1;
	fputs(text, stderr);
	return CODE_USAGE;
}

int monitor_main(int argc, char **argv)
{
	bool json = false;
	int code = parse(argc, argv, &json);
	struct error err = { 0 };
	struct sessions sessions;

	if (code >= 0)
		return code;
	report_init(json);
	if (!sessions_open(&sessions, true, &err)) {
		monitor(&sessions, &err);
		sessions_close(&sessions);
	}
	if (error_is_set(&err))
		report_error(&err);
	return err.code;
}
