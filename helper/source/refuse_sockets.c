// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"
#include "os/inet_sockets.h"
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/surroundings.h"

#define STATE_LISTEN	10

/* TCP states by their number in /proc/net/tcp. */
static const char *const state_names[] = {
	[1] = "ESTABLISHED", [2] = "SYN_SENT", [3] = "SYN_RECV", [4] = "FIN_WAIT1",
	[5] = "FIN_WAIT2", [8] = "CLOSE_WAIT", [9] = "LAST_ACK", [11] = "CLOSING",
};

#define STATES	(sizeof(state_names) / sizeof(*state_names))

/** struct own_socket - one descriptor of the process that is a socket */
struct own_socket {
	unsigned long inode;
	int fd;
};

/**
 * struct socket_count - the sockets of a process, and how many of each kind there are
 * @sockets: the descriptors, sorted by inode: several may be one socket
 * @states: TCP connections by state
 * @reset: TCP sockets that are open although their connection was reset
 * @in_flight: connections that wait for accept()
 * @unread: sockets with unread datagrams
 */
struct socket_count {
	struct own_socket *sockets;
	size_t nr, states[STATES], reset, in_flight, unread;
};

static int compare(const void *left, const void *right)
{
	const struct own_socket *a = left, *b = right;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static int take_socket(void *ctx, const struct proc_file *file, struct error *err)
{
	struct socket_count *count = ctx;
	struct own_socket *sockets;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	sockets = realloc(count->sockets, (count->nr + 1) * sizeof(*sockets));
	if (!sockets)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	count->sockets = sockets;
	sockets[count->nr++] = (struct own_socket){ .inode = file->st.st_ino, .fd = file->fd };
	return 0;
}

static void count_listed(struct socket_count *count, const struct inet_socket *listed)
{
	if (!listed->tcp)
		count->unread += listed->queue > 0;
	else if (listed->state == STATE_LISTEN)
		count->in_flight += listed->queue;
	else if (listed->state < STATES && state_names[listed->state])
		count->states[listed->state]++;
}

static bool was_reset(pid_t pid, int number)
{
	int fd = proc_fd_get(pid, number);
	bool was = fd >= 0 && inet_socket_was_reset(fd);

	if (fd >= 0)
		close(fd);
	return was;
}

static void count_all(struct socket_count *count, const struct inet_sockets *all, pid_t pid)
{
	const struct own_socket *sockets = count->sockets;

	qsort(count->sockets, count->nr, sizeof(*count->sockets), compare);
	for (size_t i = 0; i < count->nr; i++) {
		const struct inet_socket *listed;

		if (i && sockets[i].inode == sockets[i - 1].inode)
			continue;
		listed = inet_sockets_find(all, sockets[i].inode);
		if (listed)
			count_listed(count, listed);
		else
			count->reset += was_reset(pid, sockets[i].fd);
	}
}

static void say_connections(struct inspection *look, const struct socket_count *count)
{
	char text[LOSS_DETAIL_BYTES] = "";
	size_t at = 0;

	bool kept = look->opts->keeps_tcp || (look->tree && look->tree->own_network);

	for (size_t state = 0; state < STATES && !kept; state++)
		if (count->states[state])
			at += snprintf(text + at, sizeof(text) - at, "%s%zu %s", at ? ", " : "",
				       count->states[state], state_names[state]);
	if (count->reset)
		at += snprintf(text + at, sizeof(text) - at, "%s%zu reset", at ? ", " : "",
			       count->reset);
	if (at)
		losses_add(look->losses, LOSS_TCP_CONNECTIONS, "%s", text);
}

static void say_all(struct inspection *look, const struct socket_count *count)
{
	say_connections(look, count);
	if (count->in_flight)
		losses_add(look->losses, LOSS_IN_FLIGHT, "%zu", count->in_flight);
	if (count->unread)
		losses_add(look->losses, LOSS_DATAGRAMS, "in %s",
			   text_count(count->unread, "socket", "sockets").text);
}

int refuse_sockets(struct inspection *look, const struct proc_files *files, struct error *err)
{
	const struct inet_sockets *all = NULL;
	struct socket_count count = { 0 };
	int ret = proc_files_each(files, take_socket, &count, err);

	if (!ret && count.nr) {
		all = surroundings_inet(look->around, err);
		ret = all ? 0 : -1;
	}
	if (all) {
		count_all(&count, all, look->process->pid);
		say_all(look, &count);
	}
	free(count.sockets);
	return ret;
}
