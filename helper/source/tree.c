// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/spread.h"
#include "os/pending.h"
#include "os/proc_tree.h"
#include "source/tree.h"

#define END_MS	100

/* The object of process @pid; 0: it is not in the tree */
static uint32_t object_of(const struct tree *tree, pid_t pid)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (process->pid == pid)
			return process->mm.object;
	return 0;
}

/** struct fresh - a process that is not in the tree yet; @process: NULL: it is not to be. @err: why it could not be read */
struct fresh {
	pid_t pid;
	struct source_process *process;
	struct error err;
};

static void fresh_read(struct fresh *fresh)
{
	fresh->process = malloc(sizeof(*fresh->process));
	if (!fresh->process)
		error_errno(&fresh->err, CODE_INTERNAL, NULL, "no memory for a process");
	else
		source_process_init(fresh->process, fresh->pid, &fresh->err);
}

static void fresh_free(struct fresh *fresh)
{
	if (fresh->process)
		source_process_destroy(fresh->process);
	free(fresh->process);
}

/* Also one that could not be read, which is the last of the list then. Return: NULL with @err */
static struct source_process *take_fresh(struct tree *tree, struct fresh *fresh, struct error *err)
{
	struct source_process *process = fresh->process, **processes;

	if (process) {
		processes = realloc(tree->processes, (tree->nr + 1) * sizeof(*processes));
		if (!processes) {
			error_errno(err, CODE_INTERNAL, NULL, "no memory for a process");
			return NULL;
		}
		tree->processes = processes;
		processes[tree->nr++] = process;
		fresh->process = NULL;
		process->mm.object = ++tree->last_object;
	}
	if (error_is_set(&fresh->err)) {
		*err = fresh->err;
		return NULL;
	}
	process->inherit.parent = object_of(tree, process->status.ppid);
	return process;
}

struct source_process *tree_add(struct tree *tree, pid_t pid, struct error *err)
{
	struct fresh fresh = { .pid = pid };
	struct source_process *process;

	fresh_read(&fresh);
	process = take_fresh(tree, &fresh, err);
	fresh_free(&fresh);
	return process;
}

void tree_destroy(struct tree *tree)
{
	for (size_t i = 0; i < tree->nr; i++) {
		source_process_destroy(tree->processes[i]);
		free(tree->processes[i]);
	}
	free(tree->processes);
	memset(tree, 0, sizeof(*tree));
}

struct source_process *tree_next(const struct tree *tree, size_t *at)
{
	while (*at < tree->nr) {
		struct source_process *process = tree->processes[(*at)++];

		if (!process->gone)
			return process;
	}
	return NULL;
}

struct source_mm *tree_next_mm(const struct tree *tree, size_t *at)
{
	struct source_process *process = tree_next(tree, at);

	return process ? &process->mm : NULL;
}

struct source_mm *tree_find_mm(const struct tree *tree, uint32_t object)
{
	struct source_mm *mm;

	tree_for_each_mm(tree, mm)
		if (mm->object == object)
			return mm;
	return NULL;
}

/* has_ended(); @stands: it calls no exec. @now is filled with what /proc says, unless it cannot be read */
static bool look_for_end(const struct source_process *process, bool stands, struct proc_status *now)
{
	struct backend *backend = process->mm.backend;
	struct error why = { 0 };

	/* a lack of descriptors says nothing of the process */
	if (proc_stat_read(process->pid, now, &why))
		return why.code == CODE_TARGET;
	return source_process_has_exited(now) || now->start_ticks != process->status.start_ticks ||
	       (!stands && source_process_called_exec(process)) ||
	       (backend && backend->ops->is_gone(backend));
}

/* Its address space is no more: the process has ended, its pid is another's, or it has called exec. */
static bool has_ended(const struct source_process *process, bool stands)
{
	struct proc_status now = { 0 };

	return look_for_end(process, stands, &now);
}

static bool has_pid(const pid_t *pids, size_t nr, pid_t pid)
{
	for (size_t i = 0; i < nr; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static bool knows(const struct tree *tree, pid_t pid)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (process->pid == pid)
			return true;
	return false;
}

/* A process whose parent has ended is a child of init's, and does not move. */
static bool has_left(const struct source_process *process, pid_t root, const pid_t *pids,
		     size_t nr)
{
	/* the kernel leaves out a child now and then, and so the descendants of that child: parents tell */
	return !has_pid(pids, nr, process->pid) && proc_has_left(process->pid, root);
}

/* Return: false for a process that is not to be added: a zombie, or one that borrows its memory */
static bool is_to_join(pid_t pid)
{
	struct error ignored = { 0 };
	struct proc_status now;

	return !proc_stat_read(pid, &now, &ignored) && !source_process_has_exited(&now) &&
	       !proc_shares_mm(pid, now.ppid);
}

static int join_new(struct tree *tree, struct fresh *fresh, tree_join_fn join, void *ctx,
		    struct error *err)
{
	struct error why = { 0 };
	size_t nr = tree->nr;
	struct source_process *process = take_fresh(tree, fresh, &why);

	if (process && !join(ctx, process, &why))
		return 0;
	/* a daemon is somebody else's child, and may be in another control group: it goes its own way */
	if (tree->nr > nr && proc_has_left(tree->processes[nr]->pid, tree_root(tree)->pid)) {
		tree->processes[nr]->gone = true;
		return 0;
	}
	/* what could not be looked at is the last of the list, unless there was no memory for it */
	if (tree->nr > nr && tree_forgive(tree, tree->processes[nr], &why))
		return 0;
	*err = why;
	return -1;
}

/**
 * struct follow - a look at which processes are gone; @pids: those of the program now
 * @stands: the program has stood since the last look
 */
struct follow {
	const struct tree *tree;
	pid_t *pids;
	size_t nr;
	bool stands;
};

static int follow_one(void *ctx, size_t at, struct error *err)
{
	const struct follow *follow = ctx;
	struct source_process *process = follow->tree->processes[at];
	const struct source_process *root = tree_root(follow->tree);

	if (process != root && !process->gone &&
	    (has_ended(process, follow->stands) || has_left(process, root->pid, follow->pids, follow->nr)))
		process->gone = true;
	return 0;
}

static int read_fresh(void *ctx, size_t at, struct error *err)
{
	struct fresh *fresh = (struct fresh *)ctx + at;

	if (is_to_join(fresh->pid))
		fresh_read(fresh);
	return 0;
}

/*
 * The list names pids. When the process itself is read, it may have left the tree, or its pid may be a stranger's, whose
 * memory is nobody's business: the parent is not in the list then.
 */
static bool is_of_list(const struct fresh *fresh, const struct follow *follow)
{
	return error_is_set(&fresh->err) || has_pid(follow->pids, follow->nr, fresh->process->status.ppid);
}

/* They are read by all CPUs, and join in the order of @follow: a parent before its children. */
static int join_all(struct tree *tree, const struct follow *follow, tree_join_fn join, void *ctx,
		    struct error *err)
{
	struct fresh *fresh = calloc(follow->nr, sizeof(*fresh));
	size_t nr = 0;
	int ret;

	if (!fresh)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for processes");
	for (size_t i = 0; i < follow->nr; i++)
		if (!knows(tree, follow->pids[i]))
			fresh[nr++].pid = follow->pids[i];
	ret = spread_run(nr, read_fresh, fresh, err);
	for (size_t i = 0; i < nr; i++) {
		if (!ret && (fresh[i].process || error_is_set(&fresh[i].err)) && is_of_list(&fresh[i], follow))
			ret = join_new(tree, &fresh[i], join, ctx, err);
		fresh_free(&fresh[i]);
	}
	free(fresh);
	return ret;
}

static int follow_tree(struct tree *tree, bool stands, tree_join_fn join, void *ctx, struct error *err)
{
	struct follow follow = { .tree = tree, .stands = stands };
	int ret;

	if (proc_tree(tree_root(tree)->pid, &follow.pids, &follow.nr, err))
		return -1;
	ret = spread_run(tree->nr, follow_one, &follow, err);
	if (!ret)
		ret = join_all(tree, &follow, join, ctx, err);
	free(follow.pids);
	return ret;
}

int tree_follow(struct tree *tree, tree_join_fn join, void *ctx, struct error *err)
{
	return follow_tree(tree, false, join, ctx, err);
}

int tree_follow_standing(struct tree *tree, tree_join_fn join, void *ctx, struct error *err)
{
	return follow_tree(tree, true, join, ctx, err);
}

bool tree_forgive(const struct tree *tree, struct source_process *process, struct error *err)
{
	const struct timespec tick = { .tv_nsec = 1000000 };
	bool ended = false;

	/* the memory of a process goes a moment before /proc says that the process has ended */
	for (int ms = 0; process != tree_root(tree) && !ended && ms < END_MS; ms++) {
		ended = has_ended(process, false);
		if (!ended)
			nanosleep(&tick, NULL);
	}
	if (!ended)
		return false;
	process->gone = true;
	memset(err, 0, sizeof(*err));
	return true;
}

/* Return: some of them have not ended */
static bool look_for_ended(const struct tree *tree)
{
	struct source_process *process;
	bool live = false;

	tree_for_each(tree, process) {
		if (!process->suspect)
			continue;
		if (process != tree_root(tree))
			process->gone = has_ended(process, false);
		live |= !process->gone;
	}
	return live;
}

void tree_wait_suspects(const struct tree *tree)
{
	uint64_t until = clock_now_ns() + END_MS * 1000000UL;
	const struct timespec tick = { .tv_nsec = 1000000 };

	while (look_for_ended(tree) && clock_now_ns() < until)
		nanosleep(&tick, NULL);
}

/*
 * The v1 freezer keeps a killed process until it is thawed. Elsewhere the signal is pending for a moment, and then the
 * process ends, which takes as long as its memory does. In this order of the looks nothing of it is missed.
 */
static bool was_killed(const struct source_process *process)
{
	struct error ignored = { 0 };
	struct proc_status now = { 0 };
	uint64_t mask;

	if (!pending_read(process->pid, &mask, &ignored) && pending_has(mask, SIGKILL))
		return true;
	/* a first thread that has ended long ago is a zombie, and others may live */
	return look_for_end(process, true, &now) || (now.exiting && now.state != 'Z');
}

static int say_killed(const struct source_process *process, struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "process %d was killed while the program stood",
			 process->pid);
}

static int check_one(void *ctx, size_t at, struct error *err)
{
	const struct tree *tree = ctx;
	const struct source_process *process = tree->processes[at];

	return !process->gone && was_killed(process) ? say_killed(process, err) : 0;
}

int tree_check_alive(const struct tree *tree, struct error *err)
{
	return spread_run(tree->nr, check_one, (void *)tree, err);
}

static int read_files_one(void *ctx, size_t at, struct error *err)
{
	const struct tree *tree = ctx;

	if (!tree->processes[at]->gone)
		source_process_read_files_if_old(tree->processes[at]);
	return 0;
}

void tree_read_files(const struct tree *tree, bool if_old)
{
	if (!if_old)
		tree_forget_files(tree);
	spread_run(tree->nr, read_files_one, (void *)tree, &(struct error){ 0 });
}

void tree_forget_files(const struct tree *tree)
{
	for (size_t i = 0; i < tree->nr; i++)
		source_process_forget_files(tree->processes[i]);
}

static int hold_one(void *ctx, size_t at, struct error *err)
{
	const struct tree *tree = ctx;
	struct error ignored = { 0 };

	/* the next look at a process that cannot be read tries again, and has the reason */
	if (!tree->processes[at]->gone)
		source_process_hold(tree->processes[at], &ignored);
	return 0;
}

void tree_hold(const struct tree *tree)
{
	spread_run(tree->nr, hold_one, (void *)tree, &(struct error){ 0 });
}

int tree_check_memory(const struct tree *tree, struct error *err)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (process->mm.backend->ops->is_gone(process->mm.backend))
			return say_killed(process, err);
	return 0;
}

bool tree_owns(const struct tree *tree, pid_t pid)
{
	return proc_descends(pid, tree_root(tree)->pid);
}

bool tree_is_foreign(const struct tree *tree, pid_t pid)
{
	return proc_has_left(pid, tree_root(tree)->pid);
}

pid_t tree_find_borrower(const struct tree *tree)
{
	struct error ignored = { 0 };
	struct proc_child *list;
	pid_t found = 0;
	size_t nr;

	if (proc_children(tree_root(tree)->pid, &list, &nr, &ignored))
		return 0;
	for (size_t i = 1; i < nr && !found; i++) {
		pid_t pid = list[i].pid, parent = list[i].parent;
		struct proc_status now;

		/* children of one parent follow each other: look at its threads once */
		if (!(parent == list[i - 1].parent ? proc_shares_mm(pid, parent) : proc_borrows(pid, parent)))
			continue;
		/*
		 * nobody waits for a child that has exited, but its parent is shown with the call from which
		 * it has not returned yet, for as long as it stands on its way out of the kernel
		 */
		if (!proc_stat_read(pid, &now, &ignored) && !source_process_has_exited(&now))
			found = pid;
	}
	free(list);
	return found;
}

void tree_drop_gone(struct tree *tree)
{
	size_t nr = 0;

	for (size_t i = 0; i < tree->nr; i++) {
		struct source_process *process = tree->processes[i];

		if (!process->gone) {
			tree->processes[nr++] = process;
			continue;
		}
		source_process_destroy(process);
		free(process);
	}
	tree->nr = nr;
}

static bool has_ns_pid(const struct tree *tree, pid_t ns_pid)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (process->status.ns_pid == ns_pid)
			return true;
	return false;
}

int tree_compare(const struct tree *tree, int images_fd, struct error *err)
{
	struct source_process *process;
	pid_t *pids;
	size_t nr;
	int ret = 0;

	if (criu_tree_read(images_fd, &pids, &nr, err))
		return -1;
	for (size_t i = 0; i < nr && !ret; i++)
		if (!has_ns_pid(tree, pids[i]))
			ret = error_set(err, CODE_REFUSED, "migrate again",
					"CRIU dumped process %d, which was not in the tree of the program",
					pids[i]);
	tree_for_each(tree, process)
		if (!ret && !has_pid(pids, nr, process->status.ns_pid))
			ret = error_set(err, CODE_REFUSED, "migrate again",
					"process %d of the program is not among those that CRIU dumped",
					process->pid);
	free(pids);
	return ret;
}
