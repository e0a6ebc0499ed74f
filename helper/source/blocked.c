// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "base/clock.h"
#include "base/spread.h"
#include "os/proc_files.h"
#include "source/blocked.h"

/*
 * A disk answers within some ms, a loaded one within some hundred. A file server that is away is asked again after seconds, or minutes
 * (NFS: 60 s). The program would stand for what is left of the wait: who waits longer here moves no program that answers in time.
 */
#define LASTS_MS	1000
#define TICK_NS		10000000

static char *thread_text(pid_t pid, pid_t tid, const char *name)
{
	char path[48];

	snprintf(path, sizeof(path), "task/%d/%s", tid, name);
	return proc_text(pid, path);
}

static bool is_uninterruptible(pid_t pid, pid_t tid)
{
	char *text = thread_text(pid, tid, "stat"), *end = text ? strrchr(text, ')') : NULL;
	bool ret = end && !strncmp(end, ") D", 3);

	free(text);
	return ret;
}

static bool waits_for_child(pid_t pid, pid_t tid)
{
	char *text = thread_text(pid, tid, "syscall"), *end = text;
	long nr = text ? strtol(text, &end, 10) : -1;
	bool read = end != text;

	free(text);
#ifdef SYS_vfork
	if (read && nr == SYS_vfork)
		return true;
#endif
	return read && (nr == SYS_clone || nr == SYS_clone3);
}

/* With cgroup v1 what the freezer holds has state D, too. */
static bool is_frozen(pid_t pid, pid_t tid)
{
	char *text = thread_text(pid, tid, "wchan");
	bool ret = text && strstr(text, "refrigerator");

	free(text);
	return ret;
}

static uint64_t find_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t read_switches(pid_t pid, pid_t tid)
{
	char *text = thread_text(pid, tid, "status");
	uint64_t nr = text ? find_number(text, "\nvoluntary_ctxt_switches:") +
		      find_number(text, "\nnonvoluntary_ctxt_switches:") : 0;

	free(text);
	return nr;
}

static bool is_blocked(pid_t pid, pid_t tid)
{
	return is_uninterruptible(pid, tid) && !waits_for_child(pid, tid) && !is_frozen(pid, tid);
}

static int look_at_thread(void *ctx, pid_t tid)
{
	struct blocked *blocked = ctx;

	if (!is_blocked(blocked->pid, tid))
		return 0;
	blocked->tid = tid;
	blocked->switches = read_switches(blocked->pid, tid);
	return -1;
}

bool blocked_find(pid_t pid, struct blocked *blocked)
{
	*blocked = (struct blocked){ .pid = pid };
	proc_threads(pid, look_at_thread, blocked, &(struct error){ 0 });
	return blocked->tid;
}

static bool lasts(const struct blocked *blocked)
{
	return is_uninterruptible(blocked->pid, blocked->tid) &&
	       read_switches(blocked->pid, blocked->tid) == blocked->switches;
}

int blocked_say(const struct blocked *blocked, struct error *err)
{
	char *where = thread_text(blocked->pid, blocked->tid, "wchan"), comm[32];

	proc_comm(blocked->pid, comm);
	error_set(err, CODE_REFUSED, "migrate again when the wait is over: look at its file servers and disks",
		  "process %d (%s) waits in the kernel (%s), where it cannot be stopped", blocked->pid, comm,
		  where && *where && strcmp(where, "0") ? where : "in a call");
	free(where);
	return -1;
}

/** struct waits - all of process @pid; @tid 0: it is over */
struct waits {
	pid_t pid;
	struct blocked *list;
	size_t nr;
};

/** struct look - @list: one for each process */
struct look {
	const struct tree *tree;
	struct waits *list;
};

static int add_thread(void *ctx, pid_t tid)
{
	struct waits *waits = ctx;
	struct blocked *list;

	if (!is_blocked(waits->pid, tid))
		return 0;
	list = reallocarray(waits->list, waits->nr + 1, sizeof(*list));
	/* the freeze itself has a limit of time */
	if (!list)
		return -1;
	waits->list = list;
	list[waits->nr++] = (struct blocked){
		.pid = waits->pid, .tid = tid, .switches = read_switches(waits->pid, tid),
	};
	return 0;
}

static int look_at_process(void *ctx, size_t at, struct error *err)
{
	const struct look *look = ctx;
	const struct source_process *process = look->tree->processes[at];

	look->list[at].pid = process->pid;
	if (!process->gone)
		proc_threads(process->pid, add_thread, &look->list[at], &(struct error){ 0 });
	return 0;
}

static const struct blocked *first_wait(struct waits *waits)
{
	for (size_t i = 0; i < waits->nr; i++) {
		if (waits->list[i].tid && lasts(&waits->list[i]))
			return &waits->list[i];
		waits->list[i].tid = 0;
	}
	return NULL;
}

/* Return: the first whose wait is not over; NULL: none */
static const struct blocked *first_of(struct look *look)
{
	const struct blocked *first = NULL;

	for (size_t i = 0; i < look->tree->nr && !first; i++)
		first = first_wait(&look->list[i]);
	return first;
}

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->tree->nr; i++)
		free(look->list[i].list);
	free(look->list);
}

int blocked_check(const struct tree *tree, struct error *err)
{
	struct look look = { .tree = tree, .list = calloc(tree->nr + 1, sizeof(*look.list)) };
	const struct timespec tick = { .tv_nsec = TICK_NS };
	int64_t until = clock_now_ms() + LASTS_MS;
	const struct blocked *blocked;
	int ret = 0;

	if (!look.list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of processes");
	spread_run(tree->nr, look_at_process, &look, &(struct error){ 0 });
	for (blocked = first_of(&look); blocked && clock_now_ms() < until; blocked = first_of(&look))
		nanosleep(&tick, NULL);
	if (blocked)
		ret = blocked_say(blocked, err);
	look_free(&look);
	return ret;
}
