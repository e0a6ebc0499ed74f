/* SPDX-License-Identifier: GPL-2.0 */
/* What a test says to the family splice_vm, and what it is told. */
#ifndef SPLICE_VM_SELFTESTS_NETLINK_CLIENT_H
#define SPLICE_VM_SELFTESTS_NETLINK_CLIENT_H

#include <linux/splice_vm_netlink.h>
#include <linux/types.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct seen - a message about a session
 * @cmd: SPLICE_VM_CMD_*
 * @has: attributes that are in it
 * @v: their values; 1 of a flag
 */
struct seen {
	int cmd;
	bool has[SPLICE_VM_A_SESSION_MAX + 1];
	__u64 v[SPLICE_VM_A_SESSION_MAX + 1];
};

#define SEEN(s, name)	((s)->v[SPLICE_VM_A_SESSION_##name])
#define SEEN_HAS(s, name) ((s)->has[SPLICE_VM_A_SESSION_##name])

/* A growing list of messages. */
struct seen_list {
	struct seen *v;
	size_t nr;
	size_t cap;
};

void seen_free(struct seen_list *list);
/* The first about @id, NULL when there is none. */
struct seen *seen_find(struct seen_list *list, __u64 id);

/**
 * struct client - a socket to the family
 * @sock: of libnl
 * @family: its number
 */
struct client {
	struct nl_sock *sock;
	int family;
};

/* Return: 0; -NLE_OBJ_NOTFOUND where there is no such family */
int client_open(struct client *client);
void client_close(struct client *client);

/* All sessions, appended to @list. Return: 0 or -NLE_* */
int client_dump(struct client *client, struct seen_list *list);
/* The same; the test ends when it fails. */
void client_must_dump(struct client *client, struct seen_list *list);
/* The session that was opened last: there is one. */
struct seen client_newest(struct client *client);
__u64 client_newest_id(struct client *client);
/* A dump with attribute @attr in the request. */
int client_dump_with(struct client *client, int attr);
/* Return: 0 or -NLE_* */
int client_join(struct client *client);
/* What comes until there is silence for @ms. Return: 0 or -NLE_* */
int client_listen(struct client *client, int ms, struct seen_list *list);

#endif
