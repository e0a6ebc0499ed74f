// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/clock.h"
#include "base/spread.h"
#include "source/refuse_members.h"
#include "source/surroundings.h"

#define LOOKS_NS	5000000000UL	/* after that there is one more look: with hundreds it takes long */
#define LOOKS_MAX	10	/* at one process; a shell calls hundreds of programs a second */

/** struct found - what a look tells of one process; to be freed in any case. @err: the first part of the look failed */
struct found {
	struct losses losses;
	struct refusals refusals;
	struct error err;
	bool refused;
};

/** struct parts - of a look: @apart in any thread, then @fn */
struct parts {
	const struct inspection *terms;
	look_fn apart, fn;
	struct found *found;
};

static void found_free(struct found *found)
{
	losses_free(&found->losses);
	refusals_free(&found->refusals);
}

static uint64_t found_digest(const struct found *found)
{
	return refusals_digest(&found->refusals) * 31 + losses_digest(&found->losses);
}

static int look_by(const struct inspection *terms, struct source_process *process, look_fn fn,
		   struct found *found, struct error *err)
{
	struct inspection look = *terms;

	look.losses = &found->losses;
	return fn ? fn(&look, process, &found->refusals, err) : 0;
}

static void look_apart(const struct parts *parts, struct source_process *process, struct found *found)
{
	*found = (struct found){
		.losses = { .accepted = parts->terms->losses->accepted, .quiet = true },
		.refusals = { .quiet = true },
	};
	if (look_by(parts->terms, process, parts->apart, found, &found->err) && !error_is_set(&found->err))
		error_set(&found->err, CODE_INTERNAL, NULL, "cannot look at process %d", process->pid);
}

static int look_on(const struct parts *parts, struct source_process *process, struct found *found,
		   struct error *err)
{
	int ret = error_is_set(&found->err) ? -1 : 0;

	if (ret)
		*err = found->err;
	else
		ret = look_by(parts->terms, process, parts->fn, found, err);
	if (ret && !tree_forgive(parts->terms->tree, process, err))
		return -1;
	found->refused = found->refusals.nr || losses_forbid(&found->losses);
	return 0;
}

static int apart_one(void *ctx, size_t at, struct error *err)
{
	const struct parts *parts = ctx;

	if (!parts->terms->tree->processes[at]->gone)
		look_apart(parts, parts->terms->tree->processes[at], &parts->found[at]);
	return 0;
}

/* Those against which nothing speaks are done. @suspects: there are others */
static int look_at_all(struct parts *parts, bool *suspects, struct error *err)
{
	const struct tree *tree = parts->terms->tree;
	int ret;

	parts->found = calloc(tree->nr, sizeof(*parts->found));
	if (!parts->found)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a look at the program");
	ret = spread_run(tree->nr, apart_one, parts, err);
	for (size_t i = 0; i < tree->nr; i++) {
		struct source_process *process = tree->processes[i];
		struct found *found = &parts->found[i];

		if (!ret && !process->gone) {
			ret = look_on(parts, process, found, err);
			process->suspect = !ret && !process->gone && found->refused;
			process->reasons = found_digest(found);
			if (!ret && !process->gone && !found->refused)
				losses_take(parts->terms->losses, &found->losses);
			*suspects |= process->suspect;
			if (!process->suspect)
				process->inspected = !ret;
		}
		found_free(found);
	}
	free(parts->found);
	return ret;
}

/*
 * What is found for the second time is believed. Return: it is not, and @process is to be looked at again.
 * @last: there is no further look
 */
static bool is_in_doubt(struct source_process *process, const struct found *found, bool last)
{
	uint64_t before = process->reasons;

	process->reasons = found_digest(found);
	return !process->gone && found->refused && process->reasons != before && !last;
}

/*
 * What a process has opened since the lists of its surroundings were made is not in them, so each look is made
 * with new ones. When the program is refused the others are only named: a walk through all processes for each
 * of hundreds would take long.
 */
static int look_at_suspects(const struct parts *parts, struct refusals *refusals, bool *refused,
			    bool last, struct error *err)
{
	const struct inspection *terms = parts->terms;
	struct source_process *process;
	int ret = 0;

	tree_for_each(terms->tree, process) {
		struct found found;

		if (!process->suspect || ret)
			continue;
		if (!*refused)
			surroundings_forget(terms->around);
		look_apart(parts, process, &found);
		ret = look_on(parts, process, &found, err);
		process->suspect = !ret && is_in_doubt(process, &found, last);
		if (!ret && !process->gone && !process->suspect) {
			losses_take(terms->losses, &found.losses);
			refusals_take(refusals, &found.refusals);
			*refused |= found.refused;
		}
		process->inspected = !ret && !process->suspect;
		found_free(&found);
	}
	return ret;
}

static bool has_suspects(const struct tree *tree)
{
	const struct source_process *process;

	tree_for_each(tree, process)
		if (process->suspect)
			return true;
	return false;
}

int refuse_members(const struct inspection *terms, look_fn apart, look_fn fn,
		   struct refusals *refusals, struct error *err)
{
	struct surroundings around = { .tree = terms->tree };
	struct inspection look = *terms;
	struct parts parts = { .terms = &look, .apart = apart, .fn = fn };
	bool suspects = false, refused = false, last = false;
	uint64_t until = clock_now_ns() + LOOKS_NS;
	int ret;

	look.around = &around;
	ret = look_at_all(&parts, &suspects, err);
	for (int i = 2; !ret && suspects && !last; i++) {
		tree_wait_suspects(look.tree);
		last = refused || i == LOOKS_MAX || clock_now_ns() > until;
		ret = look_at_suspects(&parts, refusals, &refused, last, err);
		suspects = has_suspects(look.tree);
	}
	surroundings_forget(&around);
	return ret;
}
