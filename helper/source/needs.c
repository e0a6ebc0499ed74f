// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "base/report.h"
#include "base/spread.h"
#include "source/needs.h"

#define REPLY_TIMEOUT_MS	60000
#define REFUSALS_SAID		32

static int find_files(const struct migrate_options *opts, const struct tree *tree,
		      const struct source_process *process, struct setup_files *all, struct error *err)
{
	struct proc_files own;
	const struct proc_files *files = source_process_files(process, &own, err);
	int ret = files ? setup_files_find(opts, tree->mounts, process, files, all, err) : -1;

	proc_files_free(&own);
	return ret;
}

static int find_servers(const struct tree *tree, const struct source_process *process, struct needs *needs,
			struct error *err)
{
	struct proc_files own;
	const struct proc_files *files = source_process_files(process, &own, err);
	int ret = !files || (!tree->own_network && addresses_find(files, &needs->addresses, err)) ||
		  reconnects_servers(&process->attached.reconnects, &needs->reconnect, err) ? -1 : 0;

	proc_files_free(&own);
	return ret;
}

/** struct finding - a look for the files of all processes, in any order; what it finds of each, and why it failed */
struct finding {
	const struct migrate_options *opts;
	const struct tree *tree;
	struct found {
		struct setup_files files;
		struct error err;
	} *found;
};

static int find_one(void *ctx, size_t at, struct error *err)
{
	struct finding *finding = ctx;
	const struct source_process *process = finding->tree->processes[at];
	struct found *found = &finding->found[at];

	if (!process->gone && !process->asked)
		find_files(finding->opts, finding->tree, process, &found->files, &found->err);
	return 0;
}

static int take_found(const struct tree *tree, struct source_process *process, struct found *found,
		      struct needs *needs, struct error *err)
{
	*err = found->err;
	if (!error_is_set(err) && !setup_files_take(&needs->files, &found->files, err) &&
	    !find_servers(tree, process, needs, err))
		return 0;
	return tree_forgive(tree, process, err) ? 0 : -1;
}

int needs_find(const struct migrate_options *opts, const struct tree *tree, struct needs *needs,
	       struct error *err)
{
	struct finding finding = { .opts = opts, .tree = tree };
	int ret;

	finding.found = calloc(tree->nr + 1, sizeof(*finding.found));
	if (!finding.found)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for lists of files");
	ret = spread_run(tree->nr, find_one, &finding, err);
	for (size_t i = 0; i < tree->nr; i++) {
		struct source_process *process = tree->processes[i];

		if (!ret && !process->gone && !process->asked)
			ret = take_found(tree, process, &finding.found[i], needs, err);
		setup_files_free(&finding.found[i].files);
	}
	free(finding.found);
	return ret;
}

static void add_huge(struct needs *needs, const struct vma *vma)
{
	size_t i = 0;

	while (i < needs->nr_huge && needs->huge[i].kib != vma->page_kib)
		i++;
	if (i == NEEDS_HUGE_SIZES)
		return;
	if (i == needs->nr_huge) {
		migrate__huge_pages__init(&needs->huge[i]);
		needs->huge[i].kib = vma->page_kib;
		needs->huge_list[i] = &needs->huge[i];
		needs->nr_huge++;
	}
	needs->huge[i].bytes += vma->end - vma->start;
}

/* Shared pages are there once. */
static bool is_of_another(const struct tree *tree, const struct source_process *of,
			  const struct vma *vma)
{
	const struct source_process *process;

	if (!vma->shared)
		return false;
	tree_for_each(tree, process) {
		if (process == of)
			return false;
		for (size_t i = 0; i < process->mm.vmas.nr; i++) {
			const struct vma *other = &process->mm.vmas.vmas[i];

			if (other->shared && other->ino == vma->ino && other->major == vma->major &&
			    other->minor == vma->minor)
				return true;
		}
	}
	return false;
}

static void add_huge_of(const struct tree *tree, const struct source_process *process,
			struct needs *needs)
{
	for (size_t i = 0; i < process->mm.vmas.nr; i++) {
		const struct vma *vma = &process->mm.vmas.vmas[i];

		if (vma->hugetlb && !is_of_another(tree, process, vma))
			add_huge(needs, vma);
	}
}

void needs_find_huge(const struct tree *tree, bool but_root, struct needs *needs)
{
	const struct source_process *process;

	tree_for_each(tree, process)
		if (!but_root || process != tree_root(tree))
			add_huge_of(tree, process, needs);
}

static bool has_path(const struct setup_files *files, const char *path)
{
	for (size_t i = 0; i < files->nr; i++)
		if (!strcmp(files->files[i].path, path))
			return true;
	return false;
}

bool needs_are_stale(const struct migrate_options *opts, const struct tree *tree,
		     const struct needs *asked)
{
	const struct source_process *process;
	struct needs now = { 0 };
	bool stale = false;

	tree_forget_files(tree);
	tree_for_each(tree, process) {
		/* what a process had that has ended is not needed */
		struct error ended = { 0 };

		find_files(opts, tree, process, &now.files, &ended);
	}
	for (size_t i = 0; i < asked->files.nr && !stale; i++)
		stale = !has_path(&now.files, asked->files.files[i].path);
	needs_free(&now);
	return stale;
}

void needs_free(struct needs *needs)
{
	setup_files_free(&needs->files);
	reconnect_message_free(&needs->reconnect);
	addresses_free(&needs->addresses);
	memset(needs, 0, sizeof(*needs));
}

void needs_take_refusals(char **refusals, size_t nr, struct error *err)
{
	if (nr < 2) {
		error_set(err, CODE_PEER, NULL, "the destination refuses: %s",
			  nr ? refusals[0] : "it does not say why");
		return;
	}
	for (size_t i = 0; i < nr && i < REFUSALS_SAID; i++)
		report_say("the destination refuses: %s", refusals[i]);
	error_set(err, CODE_PEER, NULL, "the destination refuses, for the %zu reasons above", nr);
}

static int ask(const struct needs_asker *asker, struct needs *needs, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	Migrate__Needs said = MIGRATE__NEEDS__INIT;

	said.files = needs->files.list;
	said.n_files = needs->files.nr;
	said.unix_servers = needs->reconnect.server_list;
	said.n_unix_servers = needs->reconnect.nr_servers;
	said.addresses = needs->addresses.list;
	said.n_addresses = needs->addresses.nr;
	said.huge_pages = needs->huge_list;
	said.n_huge_pages = needs->nr_huge;
	msg.body_case = MIGRATE__CONTROL__BODY_NEEDS;
	msg.needs = &said;
	if (control_send(asker->ctl, &msg, err))
		return -1;
	got = mailbox_expect(asker->box, MIGRATE__CONTROL__BODY_NEEDS_REPLY, REPLY_TIMEOUT_MS, err);
	if (!got)
		return -1;
	if (got->needs_reply->n_refusals)
		needs_take_refusals(got->needs_reply->refusals, got->needs_reply->n_refusals, err);
	migrate__control__free_unpacked(got, NULL);
	return error_is_set(err) ? -1 : 0;
}

void needs_mark_asked(const struct tree *tree)
{
	struct source_process *process;

	tree_for_each(tree, process)
		process->asked = true;
}

static int ask_once(const struct needs_asker *asker, bool *stale, struct error *err)
{
	struct needs needs = { 0 };
	int ret = needs_find(asker->opts, asker->tree, &needs, err);

	*stale = false;
	if (!ret) {
		needs_find_huge(asker->tree, false, &needs);
		ret = ask(asker, &needs, err);
		if (ret && err->code == CODE_PEER)
			*stale = needs_are_stale(asker->opts, asker->tree, &needs);
	}
	needs_free(&needs);
	return ret;
}

int needs_ask(const struct needs_asker *asker, struct error *err)
{
	const struct source_process *process;
	bool joined = false, stale = true;
	int ret = -1;

	tree_for_each(asker->tree, process)
		joined |= !process->asked;
	if (!joined)
		return 0;
	for (int i = 0; i < NEEDS_ASKED_MAX && ret && stale; i++) {
		memset(err, 0, sizeof(*err));
		ret = ask_once(asker, &stale, err);
	}
	if (!ret)
		needs_mark_asked(asker->tree);
	return ret;
}
