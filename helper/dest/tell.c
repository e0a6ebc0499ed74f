// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include "base/text.h"
#include "dest/tell.h"

/* Id of this process's one migration, set before there are threads. */
static char migration[64];

/* Where its lines are counted; NULL: nowhere */
static struct place *counted;

void tell_count(struct place *place)
{
	counted = place;
}

/** struct manager - see tell_manager(); @told: NULL: there is none */
static struct {
	struct msgfd msgfd;
	struct outcome_report outcome;
	bool alone;
	atomic_bool *told;
} manager;

void tell_manager(int msgfd, bool alone, atomic_bool *told)
{
	msgfd_init(&manager.msgfd, msgfd);
	manager.outcome.msgfd = &manager.msgfd;
	manager.alone = alone;
	manager.told = told;
}

void tell_log(int dir_fd, const char *name)
{
	outcome_take_log(&manager.outcome, dir_fd, name);
}

static void tell_outcome(const struct error *err)
{
	if (!manager.told || (counted && !manager.alone && atomic_load(&counted->stage) < PLACE_SETUP) ||
	    atomic_exchange(manager.told, true))
		return;
	outcome_say(&manager.outcome, err);
}

static void count(unsigned int nr)
{
	if (counted)
		atomic_fetch_add(&counted->lines, nr);
}

void tell_migration(const char *id)
{
	snprintf(migration, sizeof(migration), "%s", id);
}

static json_t *with_id(json_t *fields)
{
	if (!fields)
		fields = json_object();
	if (*migration)
		json_object_set_new(fields, "id", json_string(migration));
	return fields;
}

void tell(const char *event, json_t *fields, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	count(1);
	report_both(event, with_id(fields), text);
}

void tell_result(const struct error *err, json_t *fields)
{
	const char *key;
	json_t *value;

	tell_outcome(err);
	/* the error and its hint, and the result */
	count(err->code != CODE_OK ? 3 : 1);
	if (err->code != CODE_OK)
		report_error(err);
	if (report_is_json()) {
		fields = with_id(fields);
		json_object_set_new(fields, "side", json_string("dest"));
		json_object_set_new(fields, "exit", json_integer(err->code));
		json_object_set_new(fields, "class", json_string(error_code_name(err->code)));
		report_event("result", fields);
		return;
	}
	json_object_foreach(fields, key, value)
		report_print("%-16s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
	json_decref(fields);
}
