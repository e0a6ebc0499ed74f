// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/surroundings.h"

/**
 * struct pipe_end - one pipe or FIFO of the program
 * @read_fd: a descriptor of the program for the reading end, or -1
 * @write_fd: a descriptor of the program for the writing end, or -1
 * @outsider: another process that holds the opposite end; 0: /proc shows none
 * @outsider_reads: @outsider holds the reading end
 * @inside: another process of the program holds the opposite end: both move
 */
struct pipe_end {
	dev_t dev;
	ino_t ino;
	int read_fd, write_fd;
	pid_t outsider;
	bool outsider_reads, inside;
	char path[64];
};

/** struct pipes - the process's pipes, sorted */
struct pipes {
	struct pipe_end *ends;
	size_t nr;
};

static int compare(const void *left, const void *right)
{
	const struct pipe_end *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

static int take_pipe(void *ctx, const struct proc_file *file, struct error *err)
{
	int access = file->flags & O_ACCMODE;
	struct pipes *pipes = ctx;
	struct pipe_end *ends, *end;

	if (!S_ISFIFO(file->st.st_mode) || file->flags & O_PATH)
		return 0;
	ends = realloc(pipes->ends, (pipes->nr + 1) * sizeof(*ends));
	if (!ends)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of pipes");
	pipes->ends = ends;
	end = &ends[pipes->nr++];
	/* clears the padding too: pipes_digest() is one of all bytes */
	memset(end, 0, sizeof(*end));
	end->dev = file->st.st_dev;
	end->ino = file->st.st_ino;
	end->read_fd = access == O_WRONLY ? -1 : file->fd;
	end->write_fd = access == O_RDONLY ? -1 : file->fd;
	snprintf(end->path, sizeof(end->path), "%.63s", file->path);
	return 0;
}

/* Merge the ends with the same inode, so that each pipe has one struct pipe_end. */
static void pipes_merge(struct pipes *pipes)
{
	size_t nr = 0;

	if (pipes->nr)
		qsort(pipes->ends, pipes->nr, sizeof(*pipes->ends), compare);
	for (size_t i = 0; i < pipes->nr; i++) {
		struct pipe_end *last = &pipes->ends[nr ? nr - 1 : 0], *end = &pipes->ends[i];

		if (nr && !compare(last, end)) {
			last->read_fd = last->read_fd < 0 ? end->read_fd : last->read_fd;
			last->write_fd = last->write_fd < 0 ? end->write_fd : last->write_fd;
		} else {
			pipes->ends[nr++] = *end;
		}
	}
	pipes->nr = nr;
}

static void look_at(struct pipe_end *end, struct surroundings *around, struct holder *holder)
{
	int access = holder_access(holder);

	if (!(access != O_WRONLY && end->write_fd >= 0) &&
	    !(access != O_RDONLY && end->read_fd >= 0))
		return;
	switch (surroundings_place(around, holder)) {
	case PLACE_INSIDE:
		end->inside = true;
		break;
	case PLACE_OUTSIDE:
		if (end->outsider)
			break;
		end->outsider = holder->pid;
		end->outsider_reads = access != O_WRONLY && end->write_fd >= 0;
		break;
	default:
		break;
	}
}

static int look_outside(const struct inspection *look, struct pipe_end *end, struct error *err)
{
	bool named = end->path[0] == '/';
	struct holder *holders;
	size_t nr;

	holders = surroundings_holders(look->around, named ? HOLDER_FIFOS : HOLDER_PIPES,
				       named ? end->dev : 0, end->ino, &nr, err);
	for (size_t i = 0; i < nr && !(end->outsider && end->inside); i++)
		if (holders[i].pid != look->process->pid)
			look_at(end, look->around, &holders[i]);
	return error_is_set(err) ? -1 : 0;
}

/* A process that /proc does not show can hold the opposite end: then poll() sees no hang-up. */
static bool other_end_is_open(pid_t pid, const struct pipe_end *end)
{
	struct pollfd poller = { .events = 0 };
	bool broken;

	if (end->read_fd >= 0 && end->write_fd >= 0)
		return false;
	poller.fd = proc_fd_get(pid, end->read_fd >= 0 ? end->read_fd : end->write_fd);
	if (poller.fd < 0)
		return false;
	broken = poll(&poller, 1, 0) > 0 && poller.revents & (POLLHUP | POLLERR);
	close(poller.fd);
	/* a FIFO without a writer so far shows no hang-up either, and loses nothing */
	return !broken && strncmp(end->path, "pipe:[", 6) == 0;
}

static void pipe_say(struct inspection *look, const struct pipe_end *end)
{
	bool reads = end->outsider_reads;
	char comm[32];

	if (end->outsider) {
		proc_comm(end->outsider, comm);
		losses_add(look->losses, LOSS_PIPE, "descriptor %d (%s) %s process %d (%s)",
			   reads ? end->write_fd : end->read_fd, end->path,
			   reads ? "leads to" : "comes from", end->outsider, comm);
	} else if (!end->inside && other_end_is_open(look->process->pid, end)) {
		losses_add(look->losses, LOSS_PIPE,
			   "descriptor %d (%s) is shared with a process that is not seen here",
			   end->read_fd >= 0 ? end->read_fd : end->write_fd, end->path);
	}
}

static int pipes_read(struct pipes *pipes, const struct proc_files *files, struct error *err)
{
	int ret = proc_files_each(files, take_pipe, pipes, err);

	if (!ret)
		pipes_merge(pipes);
	return ret;
}

/*
 * Of the pipes, and of the processes that are in the tree: when a process leaves the tree, an end of a pipe stays
 * here although the pipes of all others are as they were.
 */
static uint64_t pipes_digest(const struct pipes *pipes, const struct tree *tree)
{
	uint64_t digest = XXH3_64bits(pipes->ends, pipes->nr * sizeof(*pipes->ends));
	const struct source_mm *mm;

	tree_for_each_mm(tree, mm)
		digest = XXH3_64bits_withSeed(&mm->object, sizeof(mm->object), digest);
	return digest;
}

int refuse_pipes_changed(const struct inspection *look, const struct proc_files *files, bool *changed,
			 struct error *err)
{
	struct pipes pipes = { 0 };
	int ret = pipes_read(&pipes, files, err);

	*changed = !ret && pipes_digest(&pipes, look->tree) != look->attached->pipes;
	free(pipes.ends);
	return ret;
}

int refuse_pipes(struct inspection *look, const struct proc_files *files, struct error *err)
{
	struct pipes pipes = { 0 };
	int ret = pipes_read(&pipes, files, err);

	if (!ret)
		look->attached->pipes = pipes_digest(&pipes, look->tree);
	for (size_t i = 0; i < pipes.nr && !ret; i++) {
		ret = look_outside(look, &pipes.ends[i], err);
		if (!ret)
			pipe_say(look, &pipes.ends[i]);
	}
	free(pipes.ends);
	return ret;
}
