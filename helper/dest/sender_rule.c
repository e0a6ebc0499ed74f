// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dest/sender_rule.h"
#include "wire/tls_allow.h"

#define LIST_BYTES	65536	/* as much of the list as counts */
#define ID_MAX		(UINT32_MAX - 1)
#define SYNTAX		"NAME [uids=FIRST-LAST,…] [gids=FIRST-LAST,…], with uids other than 0"

/* Digits alone: strtoul() takes spaces and signs. */
static bool take_id(const char **at, uint32_t *id)
{
	size_t digits = strspn(*at, "0123456789");
	unsigned long value = digits && digits <= 10 ? strtoul(*at, NULL, 10) : ULONG_MAX;

	*at += digits;
	*id = value;
	return value <= ID_MAX;
}

static bool take_ids(struct sender_ids *ids, const char *at, const char *end)
{
	memset(ids, 0, sizeof(*ids));
	for (;;) {
		uint32_t first, last;

		if (ids->nr == SENDER_RANGES || !take_id(&at, &first))
			return false;
		last = first;
		if (*at == '-' && (at++, !take_id(&at, &last)))
			return false;
		if (last < first)
			return false;
		ids->ranges[ids->nr].first = first;
		ids->ranges[ids->nr++].last = last;
		if (at == end)
			return true;
		if (*at++ != ',')
			return false;
	}
}

static bool take_words(struct sender_rule *rule, const char *at)
{
	bool uids = false, gids = false;

	for (at += strspn(at, TLS_SPACES); *at; at += strspn(at, TLS_SPACES)) {
		const char *end = at + strcspn(at, TLS_SPACES);
		bool *said = !strncmp(at, "uids=", 5) ? &uids : &gids;

		if ((said == &gids && strncmp(at, "gids=", 5)) || *said ||
		    !take_ids(said == &uids ? &rule->uids : &rule->gids, at + 5, end))
			return false;
		*said = true;
		at = end;
	}
	if (!gids)
		rule->gids = rule->uids;
	rule->limited = uids || gids;
	/* root can become anyone */
	return !rule->limited || (uids && !sender_ids_have(&rule->uids, 0, 0));
}

int sender_rule_parse(struct sender_rule *rule, const char *name, const char *words, struct error *err)
{
	memset(rule, 0, sizeof(*rule));
	snprintf(rule->name, sizeof(rule->name), "%s", name);
	return take_words(rule, words) ? 0 :
	       error_set(err, CODE_USAGE, "a line is " SYNTAX, "the line of --allow for \"%s\" is wrong", rule->name);
}

int sender_rule_check_list(const char *path, struct error *err)
{
	char *text = calloc(1, LIST_BYTES + 1), name[64], words[TLS_RULE_BYTES];
	FILE *file = fopen(path, "re");
	const char *at = NULL, *line;
	struct sender_rule rule;
	size_t bytes;
	int ret = 0;

	if (!text || !file) {
		ret = error_errno(err, CODE_NOT_READY, NULL, "cannot read %s", path);
	} else {
		text[fread(text, 1, LIST_BYTES, file)] = 0;
		while (!ret && (line = tls_line_next(text, &at, &bytes)))
			ret = tls_allow_split(line, bytes, name, sizeof(name), words, sizeof(words)) ?
			      sender_rule_parse(&rule, name, words, err) :
			      error_set(err, CODE_USAGE, NULL, "a line of --allow is too long");
	}
	if (file)
		fclose(file);
	free(text);
	return ret;
}

bool sender_ids_have(const struct sender_ids *ids, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < ids->nr; i++)
		if (ids->ranges[i].first <= first && ids->ranges[i].last >= last)
			return true;
	return false;
}
