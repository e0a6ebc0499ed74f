// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "dest/sender_check.h"

#define IO_REALTIME	1	/* class of ioprio_set() */
#define IO_CLASS_SHIFT	13
#define NO_LOGINUID	UINT32_MAX

static int refuse(const struct sender_rule *rule, const char *who, pid_t id, const char *what, struct error *err)
{
	return error_set(err, CODE_REFUSED, NULL, "%s %d has %s, with which --allow lets \"%s\" send no program", who, id, what, rule->name);
}

static bool is_plain_policy(uint32_t policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static uint64_t own_bounds(void)
{
	uint64_t bounds = 0;

	for (int i = 0; i < 64; i++)
		bounds |= (uint64_t)(prctl(PR_CAPBSET_READ, i) == 1) << i;
	return bounds;
}

/* The limits of this process are what its user could have at most, if he began here. */
static bool has_higher_limit(const struct criu_creds *creds)
{
	if (creds->nr_limits > RLIM_NLIMITS)
		return true;
	for (size_t i = 0; i < creds->nr_limits; i++) {
		struct rlimit own;

		if (getrlimit(i, &own) || creds->limits[i] > own.rlim_max)
			return true;
	}
	return false;
}

int sender_check_rights(const struct sender_rule *rule, const struct criu_creds *creds, bool mapped, struct error *err)
{
	const char *what = NULL;

	if (creds->labelled)
		what = "a label of a security module";
	else if (creds->secbits)
		what = "securebits";
	else if (!mapped && !creds->no_new_privs && own_bounds() & ~creds->bounds)
		/* a program that gives rights, and gets only some of them, may do what its author did not mean */
		what = "a smaller bounding set of capabilities than serve";
	else if (!is_plain_policy(creds->policy))
		what = "a real-time scheduling policy";
	else if (creds->nice < 0)
		what = "a negative nice value";
	else if (creds->oom_score_adj < 0)
		what = "a negative oom_score_adj";
	else if (has_higher_limit(creds))
		what = "a hard resource limit above that of serve";
	else if (creds->has_loginuid && creds->loginuid != NO_LOGINUID && !sender_ids_have(&rule->uids, creds->loginuid, creds->loginuid))
		what = "the login uid of another";
	return what ? refuse(rule, "thread", creds->tid, what, err) : 0;
}

static const char *thread_not_plain(const Migrate__ThreadAttributes *thread)
{
	const Migrate__Scheduling *sched = thread->scheduling;

	if (!is_plain_policy(sched->policy))
		return "a real-time scheduling policy";
	if (sched->nice < 0)
		return "a negative nice value";
	if (thread->io_priority >> IO_CLASS_SHIFT == IO_REALTIME)
		return "a real-time priority for input and output";
	if (thread->ambient)
		return "ambient capabilities";
	return thread->io_flusher ? "the mark of an I/O flusher" : NULL;
}

int sender_check_attributes(const struct sender_rule *rule, const Migrate__Process *said, struct error *err)
{
	const char *what = NULL;

	if (!said)
		return 0;
	if (said->has_oom_score_adj && said->oom_score_adj < 0)
		what = "a negative oom_score_adj";
	else if (said->has_autogroup_nice && said->autogroup_nice < 0)
		what = "an autogroup with a negative nice value";
	else if (said->n_journal_streams)
		what = "a connection to the journal";
	if (what)
		return refuse(rule, "process", said->pid, what, err);
	for (size_t i = 0; i < said->n_threads; i++) {
		what = thread_not_plain(said->threads[i]);
		if (what)
			return refuse(rule, "thread", said->threads[i]->tid, what, err);
	}
	return 0;
}
