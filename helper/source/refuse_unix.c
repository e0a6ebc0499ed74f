// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/surroundings.h"

/**
 * struct unix_end - one socket of the process
 * @ino: as in "socket:[INO]"; the socket may be of any family
 * @peer: inode of a connected unix socket that the process itself does not hold; 0: none
 * @unread: bytes that wait in the socket
 * @name: address of the peer, if a client can connect to the address
 * @outsider: a process that holds the peer; 0: /proc shows none
 */
struct unix_end {
	uint32_t ino, peer, unread;
	int fd, type;
	char name[RECONNECT_NAME_BYTES];
	pid_t outsider;
};

/** struct unix_ends - the process's sockets, sorted by inode */
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

/* CRIU moves a pair of sockets that the process holds both of. */
static void take_peer(struct unix_ends *all, struct unix_end *end, struct surroundings *around)
{
	const struct seen_socket *socket = surroundings_socket(around, end->ino), *peer;

	if (!socket || !socket->peer || end_find(all, socket->peer))
		return;
	end->peer = socket->peer;
	end->type = socket->type;
	end->unread = socket->unread;
	peer = surroundings_socket(around, socket->peer);
	if (!peer || !seen_socket_name(peer, end->name))
		*end->name = 0;
}

/* A socket whose peer is another process's of the program moves with it. */
static int look_outside(struct unix_end *end, struct surroundings *around, struct error *err)
{
	struct holder *holders;
	size_t nr;

	holders = surroundings_holders(around, HOLDER_SOCKETS, 0, end->peer, &nr, err);
	for (size_t i = 0; i < nr; i++) {
		enum holder_place place = surroundings_place(around, &holders[i]);

		if (place == PLACE_INSIDE)
			end->peer = 0;
		else if (place == PLACE_OUTSIDE && !end->outsider)
			end->outsider = holders[i].pid;
	}
	return error_is_set(err) ? -1 : 0;
}

static void end_refuse(const struct unix_end *end, struct refusals *refusals)
{
	char comm[32], hint[224] = "such a connection cannot be carried: let the program close it";

	if (*end->name)
		snprintf(hint, sizeof(hint),
			 "--reconnect %s connects it anew, to the server with that name there",
			 end->name);
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

static bool is_to_reconnect(const struct migrate_options *opts, const char *name)
{
	if (!*name)
		return false;
	for (size_t i = 0; i < opts->nr_reconnect; i++) {
		char real[PATH_MAX];

		if (!strcmp(opts->reconnect[i], name) ||
		    (realpath(opts->reconnect[i], real) && !strcmp(real, name)))
			return true;
	}
	return reconnect_is_log(name);
}

/* The journal and syslog keep no state of a connection: a new connection is as good as the old. */
static int end_reconnect(struct inspection *look, const struct unix_end *end, struct error *err)
{
	struct reconnect item = {
		.ino = end->ino, .peer = end->peer, .fd = end->fd, .type = end->type,
	};
	bool whole = reconnect_is_log(end->name) && !end->unread;

	strcpy(item.name, end->name);
	losses_add_as(look->losses, LOSS_RECONNECTED, whole ? LOSS_REPAIRED : LOSS_WARNED,
		      end->unread ? "descriptor %d, to %s, with %u bytes that were not read yet" :
		      "descriptor %d, to %s", end->fd, end->name, end->unread);
	return reconnects_add(&look->attached->reconnects, &item, err);
}

static int end_sort_out(struct inspection *look, struct unix_end *end, struct refusals *refusals,
			struct error *err)
{
	if (!end->peer)
		return 0;
	if (look_outside(end, look->around, err))
		return -1;
	if (end->peer && is_to_reconnect(look->opts, end->name))
		return end_reconnect(look, end, err);
	if (end->peer)
		end_refuse(end, refusals);
	return 0;
}

int refuse_unix(struct inspection *look, const struct proc_files *files,
		struct refusals *refusals, struct error *err)
{
	struct unix_ends all = { 0 };
	int ret = proc_files_each(files, take_socket, &all, err);

	reconnects_free(&look->attached->reconnects);
	if (all.nr)
		qsort(all.ends, all.nr, sizeof(*all.ends), compare);
	for (size_t i = 0; i < all.nr && !ret; i++) {
		take_peer(&all, &all.ends[i], look->around);
		ret = end_sort_out(look, &all.ends[i], refusals, err);
	}
	free(all.ends);
	return ret;
}
