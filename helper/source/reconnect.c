// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "source/journal.h"
#include "source/reconnect.h"

int reconnects_add(struct reconnects *all, const struct reconnect *item, struct error *err)
{
	struct reconnect *items;

	if (all->nr == RECONNECTS_MAX)
		return error_set(err, CODE_REFUSED, NULL,
				 "the program has more than %d sockets to connect anew",
				 RECONNECTS_MAX);
	items = realloc(all->items, (all->nr + 1) * sizeof(*items));
	if (!items)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	all->items = items;
	items[all->nr++] = *item;
	return 0;
}

void reconnects_free(struct reconnects *all)
{
	free(all->items);
	memset(all, 0, sizeof(*all));
}

bool reconnect_name(const struct unix_sock *server, char name[RECONNECT_NAME_BYTES])
{
	struct stat st;

	if (!server->name_bytes || server->name_bytes >= RECONNECT_NAME_BYTES)
		return false;
	memcpy(name, server->name, server->name_bytes);
	name[server->name_bytes] = 0;
	if (!name[0]) {
		name[0] = '@';
		return strlen(name) == server->name_bytes;
	}
	/* CRIU looks for the file in the same way, and knows no name otherwise */
	return name[0] == '/' && !stat(name, &st) && S_ISSOCK(st.st_mode) &&
	       (uint32_t)st.st_ino == server->file_ino;
}

bool reconnect_is_log(const char *name)
{
	static const char *const logs[] = {
		JOURNAL_STDOUT, "/run/systemd/journal/dev-log", "/run/systemd/journal/socket",
		"/dev/log",
	};

	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++)
		if (!strcmp(name, logs[i]))
			return true;
	return false;
}

static bool is_named_before(const struct reconnects *all, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (all->items[i].type == all->items[nr].type &&
		    !strcmp(all->items[i].name, all->items[nr].name))
			return true;
	return false;
}

int reconnects_servers(const struct reconnects *all, struct reconnect_message *msg,
		       struct error *err)
{
	size_t room = msg->nr_servers + all->nr + 1;
	Migrate__UnixServer *servers = reallocarray(msg->servers, room, sizeof(*servers));
	Migrate__UnixServer **list = reallocarray(msg->server_list, room, sizeof(*list));

	msg->servers = servers ?: msg->servers;
	msg->server_list = list ?: msg->server_list;
	if (!servers || !list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	for (size_t i = 0; i < all->nr; i++) {
		Migrate__UnixServer *server = &servers[msg->nr_servers];

		if (is_named_before(all, i))
			continue;
		migrate__unix_server__init(server);
		server->name = all->items[i].name;
		server->type = all->items[i].type;
		server->fd = all->items[i].fd;
		msg->nr_servers++;
	}
	for (size_t i = 0; i < msg->nr_servers; i++)
		list[i] = &servers[i];
	return 0;
}

static int stream_fill(Migrate__JournalStream *stream, const struct reconnect *from, pid_t pid,
		       struct error *err)
{
	migrate__journal_stream__init(stream);
	stream->fd = from->fd;
	stream->header = journal_header(pid, from->fd, from->peer);
	return stream->header ? 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
}

/* Return: 1 when the socket was not in the list, 0 when it was, -1 with @err */
static int sockets_add(struct sockets *sockets, uint32_t ino, struct error *err)
{
	uint32_t *inos;

	for (size_t i = 0; i < sockets->nr; i++)
		if (sockets->inos[i] == ino)
			return 0;
	inos = realloc(sockets->inos, (sockets->nr + 1) * sizeof(*inos));
	if (!inos)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	sockets->inos = inos;
	inos[sockets->nr++] = ino;
	return 1;
}

static bool is_journal(const struct reconnect *item)
{
	return item->type == SOCK_STREAM && !strcmp(item->name, JOURNAL_STDOUT);
}

int reconnects_streams(const struct reconnects *all, pid_t pid, struct sockets *begun,
		       struct reconnect_message *msg, struct error *err)
{
	msg->streams = calloc(all->nr + 1, sizeof(*msg->streams));
	msg->stream_list = calloc(all->nr + 1, sizeof(*msg->stream_list));
	if (!msg->streams || !msg->stream_list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	for (size_t i = 0; i < all->nr; i++) {
		Migrate__JournalStream *stream = &msg->streams[msg->nr_streams];
		int begins = is_journal(&all->items[i]) ? sockets_add(begun, all->items[i].ino, err) : 0;

		if (begins < 0 || (begins && stream_fill(stream, &all->items[i], pid, err)))
			return -1;
		if (begins)
			msg->stream_list[msg->nr_streams++] = stream;
	}
	return 0;
}

void reconnect_message_free(struct reconnect_message *msg)
{
	for (size_t i = 0; i < msg->nr_streams; i++)
		free(msg->streams[i].header);
	free(msg->servers);
	free(msg->server_list);
	free(msg->streams);
	free(msg->stream_list);
	memset(msg, 0, sizeof(*msg));
}
