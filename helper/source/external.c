// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "source/external.h"
#include "source/refuse.h"

static int add_name(struct externals *externals, char *name, struct error *err)
{
	externals->names[externals->nr] = name;
	return name ? externals->nr++, 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
}

static int name_all(const struct outgoing *out, struct externals *externals, struct error *err)
{
	const struct reconnects *reconnects = &out->reconnects;
	const struct terminals *terminals = &out->terminals;
	char *name;
	int ret = 0;

	externals->names = calloc(reconnects->nr + terminals->nr + 1, sizeof(*externals->names));
	if (!externals->names)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	for (size_t i = 0; !ret && i < reconnects->nr; i++)
		ret = add_name(externals, asprintf(&name, "unix[%" PRIu32 "]",
						   reconnects->items[i].ino) < 0 ? NULL : name, err);
	for (size_t i = 0; !ret && i < terminals->nr; i++)
		ret = add_name(externals, asprintf(&name, "tty[%" PRIx64 ":%" PRIx64 "]",
						   (uint64_t)terminals->items[i].rdev,
						   (uint64_t)terminals->items[i].dev) < 0 ?
					  NULL : name, err);
	return ret;
}

int externals_find(struct outgoing *out, struct externals *externals, struct error *err)
{
	struct refusals refusals = { 0 };
	struct proc_files files;
	int ret;

	if (proc_files_read(out->opts->pid, &files, err))
		return -1;
	ret = refuse_unix(out, &files, &refusals, err) ||
	      refuse_terminals(out, &files, &refusals, err) ||
	      refusals_end(&refusals, out->opts->pid, err) ? -1 : 0;
	proc_files_free(&files);
	return ret ? ret : name_all(out, externals, err);
}

void externals_free(struct externals *externals)
{
	for (size_t i = 0; i < externals->nr; i++)
		free(externals->names[i]);
	free(externals->names);
	memset(externals, 0, sizeof(*externals));
}
