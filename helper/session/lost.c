// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "session/lost.h"

#define NAMED	3	/* so many processes are named in an error */

int lost_add(struct lost *lost, const struct lost_memory *memory, struct error *err)
{
	struct lost_memory *list = realloc(lost->list, (lost->nr + 1) * sizeof(*list));

	if (!list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to tell of lost pages");
	list[lost->nr++] = *memory;
	lost->list = list;
	return 0;
}

void lost_free(struct lost *lost)
{
	free(lost->list);
	memset(lost, 0, sizeof(*lost));
}

/* One block: the pointers, and behind them the messages. */
Migrate__Lost **lost_pack(const struct lost *lost)
{
	Migrate__Lost **list = malloc(lost->nr * (sizeof(*list) + sizeof(**list)) + 1);
	Migrate__Lost *messages = list ? (Migrate__Lost *)(list + lost->nr) : NULL;

	for (size_t i = 0; list && i < lost->nr; i++) {
		migrate__lost__init(&messages[i]);
		messages[i].pid = lost->list[i].pid;
		messages[i].pages = lost->list[i].pages;
		messages[i].killed = lost->list[i].killed;
		list[i] = &messages[i];
	}
	return list;
}

void lost_pack_free(Migrate__Lost **list)
{
	free(list);
}

int lost_take(struct lost *lost, Migrate__Lost *const *list, size_t nr, struct error *err)
{
	lost_free(lost);
	for (size_t i = 0; i < nr; i++) {
		const struct lost_memory memory = {
			.pid = list[i]->pid, .pages = list[i]->pages, .killed = list[i]->killed,
		};

		if (lost_add(lost, &memory, err))
			return -1;
	}
	return 0;
}

json_t *lost_json(const struct lost *lost)
{
	json_t *array = json_array();

	for (size_t i = 0; i < lost->nr; i++)
		json_array_append_new(array, json_pack("{s:i,s:I,s:b}", "pid", lost->list[i].pid,
						       "pages", (json_int_t)lost->list[i].pages,
						       "killed", lost->list[i].killed));
	return array;
}

void lost_error(const struct lost *lost, bool ended, struct error *err)
{
	char text[sizeof(err->what)] = "";
	size_t at = 0;

	for (size_t i = 0; i < lost->nr && i < NAMED; i++)
		at += snprintf(text + at, sizeof(text) - at, "%s%s of process %d%s", i ? "; " : "",
			       text_count(lost->list[i].pages, "page", "pages").text,
			       lost->list[i].pid,
			       lost->list[i].killed ? ", which was killed at the destination too" :
			       "");
	if (lost->nr > NAMED)
		snprintf(text + at, sizeof(text) - at, "; and of %s",
			 text_count(lost->nr - NAMED, "other process", "other processes").text);
	if (lost->nr)
		error_set(err, ended ? CODE_TARGET : CODE_LOST, ended ? NULL :
			  "the rest of the program is whole, and at the destination",
			  "memory was lost at the source after COMMIT: %.320s", text);
}
