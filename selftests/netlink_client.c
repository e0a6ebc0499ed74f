// SPDX-License-Identifier: GPL-2.0
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ksft.h"
#include "netlink_client.h"

void seen_free(struct seen_list *list)
{
	free(list->v);
	*list = (struct seen_list){};
}

struct seen *seen_find(struct seen_list *list, __u64 id)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (SEEN(&list->v[i], ID) == id)
			return &list->v[i];
	}
	return NULL;
}

static struct seen *seen_add(struct seen_list *list)
{
	if (list->nr == list->cap) {
		list->cap = list->cap * 2 + 16;
		list->v = realloc(list->v, list->cap * sizeof(*list->v));
		ksft_must(list->v);
	}
	memset(&list->v[list->nr], 0, sizeof(*list->v));
	return &list->v[list->nr++];
}

/* Strict: every attribute is one of the header's, and of a length that it can have. */
static void seen_take(struct seen *seen, struct nlattr *attr)
{
	int type = nla_type(attr), len = nla_len(attr);

	if (type == SPLICE_VM_A_SESSION_PAD)
		return;
	if (type < 1 || type > SPLICE_VM_A_SESSION_MAX || seen->has[type])
		ksft_exit_fail_msg("attribute %d, unknown or twice\n", type);
	seen->has[type] = true;
	if (type == SPLICE_VM_A_SESSION_GONE)
		seen->v[type] = 1;
	else if (len == sizeof(__u32))
		seen->v[type] = nla_get_u32(attr);
	else if (len == sizeof(__u64))
		seen->v[type] = nla_get_u64(attr);
	else
		ksft_exit_fail_msg("attribute %d has %d bytes\n", type, len);
}

static int client_message(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *head = genlmsg_hdr(nlmsg_hdr(msg));
	struct seen *seen = seen_add(arg);
	struct nlattr *attr;
	int rest;

	seen->cmd = head->cmd;
	nla_for_each_attr(attr, genlmsg_attrdata(head, 0),
			  genlmsg_attrlen(head, 0), rest)
		seen_take(seen, attr);
	return NL_OK;
}

int client_open(struct client *client)
{
	int ret;

	client->sock = nl_socket_alloc();
	ksft_must(client->sock);
	ret = genl_connect(client->sock);
	if (ret)
		ksft_exit_fail_msg("genl_connect: %s\n", nl_geterror(ret));
	client->family = genl_ctrl_resolve(client->sock, SPLICE_VM_FAMILY_NAME);
	if (client->family >= 0)
		return 0;
	ret = client->family;
	nl_socket_free(client->sock);
	return ret;
}

void client_close(struct client *client)
{
	nl_socket_free(client->sock);
}

/* Return: what ended it, 0 or -NLE_* */
static int client_receive(struct client *client, struct seen_list *list)
{
	struct nl_cb *of_sock = nl_socket_get_cb(client->sock);
	struct nl_cb *cb = nl_cb_clone(of_sock);
	int ret;

	ksft_must(cb);
	nl_cb_put(of_sock);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, client_message, list);
	ret = nl_recvmsgs(client->sock, cb);
	nl_cb_put(cb);
	return ret;
}

int client_dump(struct client *client, struct seen_list *list)
{
	int ret;

	ret = genl_send_simple(client->sock, client->family,
			       SPLICE_VM_CMD_SESSION_GET,
			       SPLICE_VM_FAMILY_VERSION, NLM_F_DUMP);
	if (ret < 0)
		return ret;
	return client_receive(client, list);
}

int client_dump_with(struct client *client, int attr)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct seen_list list = {};
	int ret;

	ksft_must(msg);
	ksft_must(genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, client->family, 0,
			      NLM_F_DUMP, SPLICE_VM_CMD_SESSION_GET,
			      SPLICE_VM_FAMILY_VERSION));
	ksft_must(!nla_put_u32(msg, attr, 1));
	ret = nl_send_auto(client->sock, msg);
	nlmsg_free(msg);
	if (ret >= 0)
		ret = client_receive(client, &list);
	seen_free(&list);
	return ret;
}

int client_join(struct client *client)
{
	int group = genl_ctrl_resolve_grp(client->sock, SPLICE_VM_FAMILY_NAME,
					  SPLICE_VM_MCGRP_EVENTS);

	if (group < 0)
		return group;
	nl_socket_disable_seq_check(client->sock);
	return nl_socket_add_membership(client->sock, group);
}

int client_listen(struct client *client, int ms, struct seen_list *list)
{
	struct pollfd fd = {
		.fd = nl_socket_get_fd(client->sock),
		.events = POLLIN,
	};
	int ret = 0;

	while (!ret && poll(&fd, 1, ms) == 1)
		ret = client_receive(client, list);
	return ret;
}

void client_must_dump(struct client *client, struct seen_list *list)
{
	int ret = client_dump(client, list);

	if (ret)
		ksft_exit_fail_msg("dump: %s\n", nl_geterror(ret));
}

struct seen client_newest(struct client *client)
{
	struct seen_list list = {};
	struct seen seen;

	client_must_dump(client, &list);
	ksft_must(list.nr);
	seen = list.v[list.nr - 1];
	seen_free(&list);
	return seen;
}

__u64 client_newest_id(struct client *client)
{
	struct seen seen = client_newest(client);

	return SEEN(&seen, ID);
}
