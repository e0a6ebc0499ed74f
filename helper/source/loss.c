// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/report.h"
#include "base/text.h"
#include "source/loss.h"

/**
 * struct loss_row - one thing that a move can lose
 * @fate: LOSS_REPAIRED, LOSS_REFUSED or LOSS_WARNED
 * @text: what is lost
 * @hint: for LOSS_REFUSED: what the user can do other than to accept the loss; may be NULL
 * @quiet: nearly every program has this loss: only the result names it
 */
struct loss_row {
	const char *name;
	enum loss_fate fate;
	const char *text, *hint;
	bool quiet;
};

static const struct loss_row rows[LOSS_NR] = {
	[LOSS_PIPE] = {
		"pipe", LOSS_REFUSED, "a pipe whose other end stays here breaks",
		"start the program with its output in a file" },
	[LOSS_WRITABLE_FILE] = {
		"writable-file", LOSS_REFUSED,
		"a file that is open for writing is another file at the destination",
		"--shared-storage PATH says that both machines have the same storage there" },
	[LOSS_APPENDED_FILE] = {
		"appended-file", LOSS_WARNED,
		"an append-only file goes on in the destination's copy of it", NULL },
	[LOSS_SHARED_MAPPING] = {
		"shared-mapping", LOSS_REFUSED,
		"a writable shared mapping of a file is one of another file at the destination",
		"--shared-storage PATH says that both machines have the same storage there" },
	[LOSS_GHOST_XATTRS] = {
		"ghost-xattrs", LOSS_WARNED,
		"a deleted file that is still open loses its extended attributes", NULL },
	[LOSS_SHARED_MEMORY] = {
		"shared-memory", LOSS_REFUSED,
		"memory or a deleted file that is shared with another process becomes a copy",
		NULL },
	[LOSS_IPC_NAMESPACE] = {
		"ipc-namespace", LOSS_REFUSED,
		"System V objects and message queues that the program shares with another process become copies",
		"end that process, or start the program in an IPC namespace of its own (unshare --ipc)" },
	[LOSS_RECONNECTED] = {
		"reconnected", LOSS_WARNED,
		"a unix socket is connected anew: its server sees another client", NULL },
	[LOSS_TERMINAL] = {
		"terminal", LOSS_WARNED, "the program has no terminal any more", NULL },
	[LOSS_SESSION] = {
		"session", LOSS_WARNED,
		"the program leads a session of its own, so that no shell controls it as a job", NULL },
	[LOSS_TCP_CONNECTIONS] = {
		"tcp-connections", LOSS_WARNED, "TCP connections are closed", NULL },
	[LOSS_IN_FLIGHT] = {
		"in-flight", LOSS_WARNED,
		"TCP connections that the program has not accepted yet are reset", NULL },
	[LOSS_UNACKNOWLEDGED] = {
		"unacknowledged", LOSS_WARNED,
		"what was sent on TCP connections that were then closed may not reach the peer", NULL },
	[LOSS_DATAGRAMS] = {
		"datagrams", LOSS_WARNED, "datagrams that were not read yet are dropped", NULL },
	[LOSS_SOCKET_OPTIONS] = {
		"socket-options", LOSS_WARNED, "an option of a socket is at its default again",
		NULL },
	[LOSS_CGROUP] = {
		"cgroup", LOSS_WARNED,
		"the program leaves its control group for that of migrate-helper serve", NULL,
		.quiet = true },
	[LOSS_CGROUP_LIMIT] = {
		"cgroup-limit", LOSS_WARNED, "a limit of the program's control group is gone",
		NULL },
	[LOSS_TIMERFD] = {
		"timerfd", LOSS_REPAIRED, "a timerfd would not expire in time", NULL },
	[LOSS_INTERRUPTED_CALL] = {
		"interrupted-call", LOSS_WARNED, "a system call that waits returns EINTR",
		NULL },
	[LOSS_TIMEOUT] = {
		"timeout", LOSS_WARNED,
		"a system call that waits starts again with the whole of its time-out", NULL },
	[LOSS_ALARM] = {
		"alarm", LOSS_REFUSED,
		"an interval timer that is to expire once (alarm, setitimer) does not expire",
		"CRIU 4.1 or later at the destination keeps it" },
	[LOSS_NO_NEW_PRIVS] = {
		"no-new-privs", LOSS_REFUSED,
		"no_new_privs is not set any more, so an exec may give privileges",
		"CRIU 4.1 or later on both machines keeps it" },
	[LOSS_AMBIENT_CAPABILITIES] = {
		"ambient-capabilities", LOSS_WARNED, "the ambient capabilities are gone", NULL },
	[LOSS_SPECULATION] = {
		"speculation", LOSS_WARNED,
		"a mitigation that the program asked for by prctl is off", NULL },
	[LOSS_SHADOW_STACK] = {
		"shadow-stack", LOSS_REFUSED, "the shadow stack needs CRIU 4.1", NULL },
	[LOSS_ACCOUNTING] = {
		"accounting", LOSS_WARNED,
		"CPU time, start time and I/O counters begin again", NULL, .quiet = true },
	[LOSS_PRCTL] = {
		"prctl", LOSS_WARNED, "an attribute of the process is gone", NULL },
	[LOSS_AUDIT_SESSION] = {
		"audit-session", LOSS_WARNED, "the number of the audit session is another",
		NULL },
	[LOSS_CORE_SCHEDULING] = {
		"core-scheduling", LOSS_WARNED,
		"the program may share a core with programs that it was kept apart from", NULL },
	[LOSS_MEMORY_POLICY] = {
		"memory-policy", LOSS_WARNED, "a NUMA memory policy is gone", NULL },
	[LOSS_WIPEONFORK] = {
		"wipe-on-fork", LOSS_WARNED,
		"memory that a child should not see (MADV_WIPEONFORK) is copied by fork", NULL },
	[LOSS_MAPPING_NAMES] = {
		"mapping-names", LOSS_WARNED, "names of mappings (PR_SET_VMA) are gone", NULL,
		.quiet = true },
	[LOSS_LOCK_FUTURE] = {
		"lock-future", LOSS_WARNED,
		"memory that the program maps from now on is not locked (MCL_FUTURE)", NULL },
	[LOSS_FILE_EVENTS] = {
		"file-events", LOSS_WARNED,
		"events of inotify or fanotify that were not read yet are dropped", NULL },
	[LOSS_SUPERVISOR] = {
		"supervisor", LOSS_WARNED,
		"a supervisor starts the program again when it ends here: a second copy", NULL },
	[LOSS_IO_FLUSHER] = {
		"io-flusher", LOSS_WARNED, "PR_SET_IO_FLUSHER is off", NULL },
	[LOSS_SCHEDULING] = {
		"scheduling", LOSS_WARNED, "a thread is scheduled in another way", NULL },
	[LOSS_CPUS] = {
		"cpu-affinity", LOSS_WARNED, "a thread runs on other CPUs", NULL },
	[LOSS_TIMER_SLACK] = {
		"timer-slack", LOSS_WARNED, "a thread has another timer slack", NULL },
	[LOSS_IO_PRIORITY] = {
		"io-priority", LOSS_WARNED, "a thread has another I/O priority", NULL },
	[LOSS_COREDUMP_FILTER] = {
		"coredump-filter", LOSS_WARNED, "the program has another coredump_filter", NULL },
	[LOSS_AUTOGROUP] = {
		"autogroup", LOSS_WARNED, "the program's autogroup has another nice value", NULL },
};

_Static_assert(LOSS_NR <= 64, "one bit a row");

static const char *const fate_names[] = {
	[LOSS_REPAIRED] = "repaired", [LOSS_REFUSED] = "refused",
	[LOSS_ACCEPTED] = "accepted", [LOSS_WARNED] = "warned",
};

const char *loss_name(enum loss loss)
{
	return rows[loss].name;
}

const char *loss_text(enum loss loss)
{
	return rows[loss].text;
}

enum loss_fate loss_default_fate(enum loss loss)
{
	return rows[loss].fate;
}

const char *loss_fate_name(enum loss_fate fate)
{
	return fate_names[fate];
}

enum loss loss_find(const char *name)
{
	for (enum loss loss = 0; loss < LOSS_NR; loss++)
		if (rows[loss].fate == LOSS_REFUSED && !strcmp(rows[loss].name, name))
			return loss;
	return LOSS_NR;
}

const char *loss_names(void)
{
	static char names[1024];
	size_t at = 0;

	for (enum loss loss = 0; loss < LOSS_NR; loss++)
		if (rows[loss].fate == LOSS_REFUSED && at < sizeof(names))
			at += snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
				       rows[loss].name);
	return names;
}

/* Return: NULL when the item is only counted */
static struct loss_item *losses_grow(struct losses *losses, enum loss loss)
{
	struct loss_item *items;

	if (losses->count[loss]++ >= LOSS_DETAILS_MAX)
		return NULL;
	items = realloc(losses->items, (losses->nr + 1) * sizeof(*items));
	if (!items) {
		losses->no_memory = true;
		return NULL;
	}
	losses->items = items;
	return &items[losses->nr++];
}

static json_t *item_json(const struct loss_item *item)
{
	return json_pack("{s:s,s:s,s:s}", "name", loss_name(item->loss), "fate",
			 loss_fate_name(item->fate), "detail", item->detail);
}

static bool item_is_among(const struct loss_item *item, const struct loss_item *items, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (items[i].loss == item->loss && items[i].fate == item->fate &&
		    !strcmp(items[i].detail, item->detail))
			return true;
	return false;
}

static void item_say(const struct loss_item *item)
{
	report_event("loss", item_json(item));
	if (!report_is_json() && !rows[item->loss].quiet &&
	    (item->fate == LOSS_ACCEPTED || item->fate == LOSS_WARNED))
		report_say("warning: %s: %s", loss_text(item->loss), item->detail);
}

/* A second loss with the same detail is left out. */
static void losses_put(struct losses *losses, const struct loss_item *item)
{
	struct loss_item *place;

	if (item_is_among(item, losses->items, losses->nr))
		return;
	place = losses_grow(losses, item->loss);
	if (!place)
		return;
	*place = *item;
	if (!losses->quiet && !item_is_among(item, losses->old, losses->nr_old))
		item_say(item);
}

static void losses_vadd(struct losses *losses, enum loss loss, enum loss_fate fate,
			const char *fmt, va_list args)
{
	struct loss_item item = { .loss = loss, .fate = fate };
	char detail[2 * LOSS_DETAIL_BYTES];

	if (fate == LOSS_REFUSED && losses->accepted & 1UL << loss)
		item.fate = LOSS_ACCEPTED;
	vsnprintf(detail, sizeof(detail), fmt, args);
	/* a file's name may have any bytes */
	text_printable(item.detail, sizeof(item.detail), detail);
	losses_put(losses, &item);
}

/* The number of losses without an item. */
static size_t losses_more(const struct losses *losses, enum loss loss)
{
	return losses->count[loss] > LOSS_DETAILS_MAX ? losses->count[loss] - LOSS_DETAILS_MAX : 0;
}

void losses_take(struct losses *losses, const struct losses *own)
{
	for (size_t i = 0; i < own->nr; i++)
		losses_put(losses, &own->items[i]);
	for (enum loss loss = 0; loss < LOSS_NR; loss++)
		losses->count[loss] += losses_more(own, loss);
	losses->no_memory |= own->no_memory;
}

void losses_renew(struct losses *losses, uint64_t rows)
{
	size_t kept = 0;

	free(losses->old);
	losses->old = calloc(losses->nr + 1, sizeof(*losses->old));
	losses->nr_old = 0;
	for (size_t i = 0; i < losses->nr; i++) {
		const struct loss_item *item = &losses->items[i];

		if (!(rows & 1UL << item->loss))
			losses->items[kept++] = *item;
		else if (losses->old)
			losses->old[losses->nr_old++] = *item;
	}
	losses->nr = kept;
	for (enum loss loss = 0; loss < LOSS_NR; loss++)
		if (rows & 1UL << loss)
			losses->count[loss] = 0;
}

void losses_add(struct losses *losses, enum loss loss, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	losses_vadd(losses, loss, loss_default_fate(loss), fmt, args);
	va_end(args);
}

void losses_add_as(struct losses *losses, enum loss loss, enum loss_fate fate,
		   const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	losses_vadd(losses, loss, fate, fmt, args);
	va_end(args);
}

void losses_refusal(const struct loss_item *item, struct error *err)
{
	const struct loss_row *row = &rows[item->loss];
	char hint[sizeof(err->hint)];

	snprintf(hint, sizeof(hint), "%s%s--accept-loss %s moves the program all the same",
		 row->hint ?: "", row->hint ? "; " : "", row->name);
	error_set(err, CODE_REFUSED, hint, "%s: %s", row->text, item->detail);
}

bool losses_forbid(const struct losses *losses)
{
	for (size_t i = 0; i < losses->nr; i++)
		if (losses->items[i].fate == LOSS_REFUSED)
			return true;
	return false;
}

uint64_t losses_digest(const struct losses *losses)
{
	uint64_t digest = 0;

	for (size_t i = 0; i < losses->nr; i++)
		if (losses->items[i].fate == LOSS_REFUSED)
			digest = XXH3_64bits_withSeed(losses->items[i].detail,
						      strlen(losses->items[i].detail),
						      digest + losses->items[i].loss);
	return digest;
}

int losses_refused(const struct losses *losses, struct error *err)
{
	const struct loss_item *first = NULL;
	size_t nr = 0;

	if (losses->no_memory)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for the list of losses");
	for (size_t i = 0; i < losses->nr; i++)
		if (losses->items[i].fate == LOSS_REFUSED && !nr++)
			first = &losses->items[i];
	if (!nr)
		return 0;
	losses_refusal(first, err);
	if (nr > 1) {
		size_t len = strlen(err->what);

		snprintf(err->what + len, sizeof(err->what) - len, " (and %s)",
			 text_count(nr - 1, "more loss", "more losses").text);
	}
	return -1;
}

json_t *losses_json(const struct losses *losses)
{
	json_t *array = json_array();

	for (size_t i = 0; i < losses->nr; i++)
		json_array_append_new(array, item_json(&losses->items[i]));
	for (enum loss loss = 0; loss < LOSS_NR; loss++) {
		struct loss_item more = { .loss = loss, .fate = loss_default_fate(loss) };

		if (!losses_more(losses, loss))
			continue;
		if (more.fate == LOSS_REFUSED && losses->accepted & 1UL << loss)
			more.fate = LOSS_ACCEPTED;
		snprintf(more.detail, sizeof(more.detail), "and %zu more",
			 losses_more(losses, loss));
		json_array_append_new(array, item_json(&more));
	}
	return array;
}

void losses_print(const struct losses *losses)
{
	for (size_t i = 0; i < losses->nr; i++) {
		const struct loss_item *item = &losses->items[i];

		if (item->fate != LOSS_REPAIRED)
			report_print("lost: %s: %s\n", loss_text(item->loss), item->detail);
	}
	for (enum loss loss = 0; loss < LOSS_NR; loss++)
		if (losses_more(losses, loss))
			report_print("lost: %s: and %zu more\n", loss_text(loss),
				     losses_more(losses, loss));
}

void losses_free(struct losses *losses)
{
	free(losses->items);
	free(losses->old);
	memset(losses, 0, sizeof(*losses));
}
