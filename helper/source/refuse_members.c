// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "source/refuse_members.h"
#include "source/surroundings.h"

#define LOOKS_NS	5000000000UL	/* after that there is one more look: with hundreds it takes long */
#define LOOKS_MAX	10	/* at one process; a shell calls hundreds of programs a second */

/** struct found - what a look tells of one process; to be freed in any case */
struct found {
	struct losses losses;
	struct refusals refusals;
	bool refused;
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

static int look_once(const struct inspection *terms, struct source_process *process, look_fn fn,
		     struct found *found, struct error *err)
{
	struct inspection look = *terms;

	*found = (struct found){
		.losses = { .accepted = terms->losses->accepted, .quiet = true },
		.refusals = { .quiet = true },
	};
	look.losses = &found->losses;
	if (fn(&look, process, &found->refusals, err) && !tree_forgive(look.tree, process, err))
		return -1;
	found->refused = found->refusals.nr || losses_forbid(&found->losses);
	return 0;
}

/* Those against which nothing speaks are done. @suspects: there are others */
static int look_at_all(const struct inspection *terms, look_fn fn, bool *suspects, struct error *err)
{
	struct source_process *process;
	int ret = 0;

	tree_for_each(terms->tree, process) {
		struct found found;

		ret = look_once(terms, process, fn, &found, err);
		process->suspect = !ret && !process->gone && found.refused;
		process->reasons = found_digest(&found);
		if (!ret && !process->gone && !found.refused)
			losses_take(terms->losses, &found.losses);
		*suspects |= process->suspect;
		if (!process->suspect)
			process->inspected = !ret;
		found_free(&found);
		if (ret)
			break;
	}
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
static int look_at_suspects(const struct inspection *terms, look_fn fn, struct refusals *refusals,
			    bool *refused, bool last, struct error *err)
{
	struct source_process *process;
	int ret = 0;

	tree_for_each(terms->tree, process) {
		struct found found;

		if (!process->suspect || ret)
			continue;
		if (!*refused)
			surroundings_forget(terms->around);
		ret = look_once(terms, process, fn, &found, err);
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

int refuse_members(const struct inspection *terms, look_fn fn, struct refusals *refusals,
		   struct error *err)
{
	struct surroundings around = { .tree = terms->tree };
	struct inspection look = *terms;
	bool suspects = false, refused = false, last = false;
	uint64_t until = clock_now_ns() + LOOKS_NS;
	int ret;

	look.around = &around;
	ret = look_at_all(&look, fn, &suspects, err);
	for (int i = 2; !ret && suspects && !last; i++) {
		tree_wait_suspects(look.tree);
		last = refused || i == LOOKS_MAX || clock_now_ns() > until;
		ret = look_at_suspects(&look, fn, refusals, &refused, last, err);
		suspects = has_suspects(look.tree);
	}
	surroundings_forget(&around);
	return ret;
}
