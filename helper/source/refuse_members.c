// SPDX-License-Identifier: GPL-2.0
#include "source/refuse_members.h"
#include "source/surroundings.h"

/** struct found - what a look tells of one process */
struct found {
	struct losses losses;
	bool refused;
};

/* @refusals: of this process, or of all up to it. What is found is to be freed in any case. */
static int look_once(const struct inspection *terms, struct source_process *process, look_fn fn,
		     struct refusals *refusals, struct found *found, struct error *err)
{
	struct inspection look = *terms;
	size_t before = refusals->nr;

	*found = (struct found){ .losses = { .accepted = terms->losses->accepted, .quiet = true } };
	look.losses = &found->losses;
	if (fn(&look, process, refusals, err) && !tree_forgive(look.tree, process, err))
		return -1;
	found->refused = refusals->nr > before || losses_forbid(&found->losses);
	return 0;
}

/* Those against which nothing speaks are done. @suspects: there are others */
static int look_at_all(const struct inspection *terms, look_fn fn, bool *suspects, struct error *err)
{
	struct source_process *process;
	int ret = 0;

	tree_for_each(terms->tree, process) {
		struct refusals refusals = { .quiet = true };
		struct found found;

		ret = look_once(terms, process, fn, &refusals, &found, err);
		process->suspect = !ret && !process->gone && found.refused;
		if (!ret && !process->gone && !found.refused)
			losses_take(terms->losses, &found.losses);
		*suspects |= process->suspect;
		if (!process->suspect)
			process->inspected = !ret;
		losses_free(&found.losses);
		if (ret)
			break;
	}
	return ret;
}

/*
 * What a process has opened since the lists of its surroundings were made is not in them, so each look is made
 * with new ones. When the program is refused the others are only named: a walk through all processes for each
 * of hundreds would take long.
 */
static int look_at_suspects(const struct inspection *terms, look_fn fn, struct refusals *refusals,
			    struct error *err)
{
	struct source_process *process;
	bool refused = false;
	int ret = 0;

	tree_for_each(terms->tree, process) {
		struct found found;

		if (!process->suspect || ret)
			continue;
		if (!refused)
			surroundings_forget(terms->around);
		ret = look_once(terms, process, fn, refusals, &found, err);
		if (!ret && !process->gone)
			losses_take(terms->losses, &found.losses);
		refused |= found.refused && !process->gone;
		process->inspected = !ret;
		losses_free(&found.losses);
	}
	return ret;
}

int refuse_members(const struct inspection *terms, look_fn fn, struct refusals *refusals,
		   struct error *err)
{
	struct surroundings around = { .tree = terms->tree };
	struct inspection look = *terms;
	bool suspects = false;
	int ret;

	look.around = &around;
	ret = look_at_all(&look, fn, &suspects, err);
	if (!ret && suspects) {
		tree_wait_suspects(look.tree);
		ret = look_at_suspects(&look, fn, refusals, err);
	}
	surroundings_forget(&around);
	return ret;
}
