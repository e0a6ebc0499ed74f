// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "criu/repairs.h"
#include "source/repair.h"
#include "source/reset_sockets.h"

#define SHORT_NS	1000000000UL	/* longer time-outs that begin anew are worth a warning */

/*
 * Waits that go on as if nothing had happened, counted; the first is named. @where: whose numbers threads have in
 * the images
 */
struct waits {
	const char *where;
	struct losses *losses;
	size_t nr;
	pid_t first;
	const char *call;
};

static void note_wait(void *ctx, const struct criu_wait *wait)
{
	struct waits *waits = ctx;

	if (!wait->call) {
		losses_add(waits->losses, LOSS_INTERRUPTED_CALL, "thread %d%s, system call %ld",
			   wait->tid, waits->where, wait->nr);
	} else if (!wait->restarted) {
		losses_add(waits->losses, LOSS_INTERRUPTED_CALL, "thread %d%s, %s", wait->tid, waits->where,
			   wait->call);
	} else if (wait->timeout == TIMEOUT_UNKNOWN) {
		losses_add(waits->losses, LOSS_TIMEOUT, "thread %d%s, %s, if its socket has one",
			   wait->tid, waits->where, wait->call);
	} else if (wait->timeout == TIMEOUT_WHOLE && wait->timeout_ns > SHORT_NS) {
		losses_add(waits->losses, LOSS_TIMEOUT, "thread %d%s, %s, %.1f s", wait->tid,
			   waits->where, wait->call, wait->timeout_ns / 1e9);
	} else if (!waits->nr++) {
		waits->first = wait->tid;
		waits->call = wait->call;
	}
}

static int repair_waits(const struct source_process *process, int images_fd, struct losses *losses,
			struct error *err)
{
	bool inner = process->pid != process->status.ns_pid;
	struct waits waits = { .losses = losses, .where = inner ? " of its PID namespace" : "" };
	char path[32];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/mem", process->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, CODE_TARGET, NULL, "cannot open %s", path);
	ret = criu_cores_repair(images_fd, &process->task, fd, note_wait, &waits, err);
	close(fd);
	if (waits.nr)
		losses_add_as(losses, LOSS_INTERRUPTED_CALL, LOSS_REPAIRED,
			      "threads whose system call starts again: %zu (thread %d%s, %s)",
			      waits.nr, waits.first, waits.where, waits.call);
	return ret;
}

static int repair_timerfds(int images_fd, struct losses *losses, struct error *err)
{
	struct criu_timerfds done;

	if (criu_timerfds_repair(images_fd, &done, err))
		return -1;
	if (done.armed || done.absolute)
		losses_add_as(losses, LOSS_TIMERFD, LOSS_REPAIRED,
			      "%u periodic ones that had expired, %u absolute ones", done.armed,
			      done.absolute);
	return 0;
}

/* Of all processes: files.img is one for the tree. The names stay theirs. */
static int gather_renames(const struct tree *tree, struct criu_rename **renames, size_t *nr,
			  struct error *err)
{
	const struct source_process *process;

	tree_for_each(tree, process) {
		const struct renamed *renamed = &process->attached.renamed;
		struct criu_rename *more;

		if (renamed_check(renamed, err))
			return -1;
		more = reallocarray(*renames, *nr + renamed->nr + 1, sizeof(*more));
		if (!more)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
		*renames = more;
		for (size_t i = 0; i < renamed->nr; i++)
			more[(*nr)++] = renamed->names[i];
	}
	return 0;
}

static int repair_files(const struct tree *tree, int images_fd, struct error *err)
{
	const struct terminals *terminals = &tree_root(tree)->attached.terminals;
	struct reset_sockets resets = { .tree = tree };
	struct criu_files files = { .replace_tty = terminals->file,
				    .was_reset = reset_sockets_have, .ctx = &resets };
	struct criu_rename *renames = NULL;
	int ret = -1;

	if (!gather_renames(tree, &renames, &files.nr_renames, err) &&
	    (terminals->leads || !criu_session_repair(images_fd, err))) {
		files.renames = renames;
		ret = criu_files_repair(images_fd, &files, err);
	}
	reset_sockets_free(&resets);
	free(renames);
	return ret;
}

int repair_images(const struct tree *tree, int images_fd, struct losses *losses,
		  struct error *err)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (repair_waits(process, images_fd, losses, err))
			return -1;
	return repair_timerfds(images_fd, losses, err) || criu_followers_part(images_fd, err) ||
	       repair_files(tree, images_fd, err) ? -1 : 0;
}
