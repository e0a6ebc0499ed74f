// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "backend/sessions.h"
#include "base/report.h"
#include "cli/monitor.h"
#include "cli/options.h"
#include "cli/session_rows.h"

static int say(void *ctx, const struct session *session, struct error *err)
{
	const char *name = session_event_name(session->cmd);
	char text[256];

	/* ignore unknown events of a newer module */
	if (!name)
		return 0;
	session_event_text(session, text, sizeof(text));
	report_print("%s\n", text);
	report_event(name, session_json(session));
	return 0;
}

/* Loops until an error. */
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

/** struct monitor_options - of the command line */
struct monitor_options {
	bool json;
};

static const struct cli_option options[] = {
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct monitor_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"monitor", "[--json]",
	"Say what becomes of the module's sessions, until it is interrupted.", options,
};

int monitor_main(int argc, char **argv)
{
	struct monitor_options opts = { 0 };
	int code = options_parse(&verb, argc, argv, &opts);
	struct error err = { 0 };
	struct sessions sessions;

	if (code >= 0)
		return code;
	report_init(opts.json);
	if (!sessions_open(&sessions, true, &err)) {
		monitor(&sessions, &err);
		sessions_close(&sessions);
	}
	if (error_is_set(&err))
		report_error(&err);
	return err.code;
}
