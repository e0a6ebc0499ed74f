// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc_files.h"
#include "os/unix_diag.h"
#include "source/refuse.h"

/**
 * struct unix_end - one socket of the program
 * @ino: as in "socket:[INO]"; of any family
 * @peer: inode of the unix socket it is connected to, 0: none
 * @outsider: a process that holds the peer, 0: none is seen
 */
struct unix_end {
	uint32_t ino, peer;
	int fd, type;
	pid_t outsider;
};

/** struct unix_ends - all of them, sorted by inode */
struct unix_ends {
	struct unix_end *ends;
	size_t nr;
};

static int compare(const void *left, const void *right)
{
	const struct unix_end *a = left, *b = right;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static struct unix_end *end_find(const struct unix_ends *all, uint32_t ino)
{
	struct unix_end key = { .ino = ino };

	return all->nr ? bsearch(&key, all->ends, all->nr, sizeof(key), compare) : NULL;
}

static int take_socket(void *ctx, const struct proc_file *file, struct error *err)
{
	struct unix_ends *all = ctx;
	struct unix_end *ends;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	ends = realloc(all->ends, (all->nr + 1) * sizeof(*ends));
	if (!ends)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	all->ends = ends;
	ends[all->nr++] = (struct unix_end){ .ino = file->st.st_ino, .fd = file->fd };
	return 0;
}

static void take_peer(void *ctx, uint32_t ino, uint32_t peer, int type)
{
	struct unix_end *end = end_find(ctx, ino);

	if (end) {
		end->peer = peer;
		end->type = type;
	}
}

static void look_outside(void *ctx, pid_t pid, int fd, const char *path)
{
	struct unix_ends *all = ctx;
	unsigned int ino;

	if (sscanf(path, "socket:[%u]", &ino) != 1)
		return;
	for (size_t i = 0; i < all->nr; i++)
		if (all->ends[i].peer == ino && !all->ends[i].outsider)
			all->ends[i].outsider = pid;
}

static void end_refuse(const struct unix_end *end, struct refusals *refusals)
{
	static const char hint[] = "such a connection cannot be carried: let the program close it";
	char comm[32];

	if (!end->outsider) {
		refuse(refusals, hint,
		       "descriptor %d is a unix socket that is connected to one of another process",
		       end->fd);
		return;
	}
	proc_comm(end->outsider, comm);
	refuse(refusals, hint, "descriptor %d is a unix socket that is connected to process %d (%s)",
	       end->fd, end->outsider, comm);
}

/* A socket whose peer is the program's too moves with it. */
static size_t drop_inner(struct unix_ends *all)
{
	size_t outer = 0;

	for (size_t i = 0; i < all->nr; i++) {
		if (all->ends[i].peer && end_find(all, all->ends[i].peer))
			all->ends[i].peer = 0;
		outer += all->ends[i].peer != 0;
	}
	return outer;
}

int refuse_unix(struct inspection *look, const struct proc_files *files,
		struct refusals *refusals, struct error *err)
{
	struct unix_ends all = { 0 };
	int ret = proc_files_each(files, take_socket, &all, err);

	if (all.nr)
		qsort(all.ends, all.nr, sizeof(*all.ends), compare);
	/* a kernel that does not tell leaves it to CRIU, which then fails as well */
	if (!ret && all.nr && !unix_diag_walk(take_peer, &all) && drop_inner(&all)) {
		proc_links(look->process->pid, look_outside, &all);
		for (size_t i = 0; i < all.nr; i++)
			if (all.ends[i].peer)
				end_refuse(&all.ends[i], refusals);
	}
	free(all.ends);
	return ret;
}
