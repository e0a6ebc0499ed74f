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

static int name_files(const struct renamed *renamed, struct externals *externals,
		      struct error *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < renamed->nr; i++)
		ret = add_name(externals, strdup(renamed->names[i].external), err);
	return ret;
}

static int name_all(const struct attached *attached, struct externals *externals,
		    struct error *err)
{
	const struct reconnects *reconnects = &attached->reconnects;
	const struct terminals *terminals = &attached->terminals;
	size_t room = externals->nr + reconnects->nr + terminals->nr + attached->renamed.nr + 1;
	char **names = reallocarray(externals->names, room, sizeof(*names)), *name;
	int ret = 0;

	externals->names = names ?: externals->names;
	if (!names)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	for (size_t i = 0; !ret && i < reconnects->nr; i++)
		ret = add_name(externals, asprintf(&name, "unix[%" PRIu32 "]",
						   reconnects->items[i].ino) < 0 ? NULL : name, err);
	for (size_t i = 0; !ret && i < terminals->nr; i++)
		ret = add_name(externals, asprintf(&name, "tty[%" PRIx64 ":%" PRIx64 "]",
						   (uint64_t)terminals->items[i].rdev,
						   (uint64_t)terminals->items[i].dev) < 0 ?
					  NULL : name, err);
	if (!ret)
		ret = name_files(&attached->renamed, externals, err);
	externals->leaves_session |= terminals->nr > 0;
	return ret;
}

static int name_mounts(const struct source_mounts *mounts, struct externals *externals,
		       struct error *err)
{
	size_t nr = mounts && mounts->own ? mounts->list.nr : 0;
	char **names = reallocarray(externals->names, externals->nr + nr + 2, sizeof(*names));
	int ret = 0;

	externals->names = names ?: externals->names;
	if (!names)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	if (nr && source_mounts_are_stacked(mounts))
		ret = add_name(externals, strdup("mnt[]"), err);
	for (size_t i = 0; !ret && i < nr; i++)
		if (source_mounts_is_outside(mounts, i) || source_mounts_is_copied(mounts, i))
			ret = add_name(externals, source_mounts_name(mounts, i), err);
	return ret;
}

int externals_find(const struct inspection *terms, const struct tree *tree,
		   struct externals *externals, struct error *err)
{
	struct source_process *process;

	if (refuse_attached(terms, tree, err))
		return -1;
	tree_for_each(tree, process)
		if (name_all(&process->attached, externals, err))
			return -1;
	if (name_mounts(tree->mounts, externals, err))
		return -1;
	externals->leaves_session |= !tree_root(tree)->attached.terminals.leads;
	return 0;
}

void externals_free(struct externals *externals)
{
	for (size_t i = 0; i < externals->nr; i++)
		free(externals->names[i]);
	free(externals->names);
	memset(externals, 0, sizeof(*externals));
}
