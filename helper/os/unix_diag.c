// SPDX-License-Identifier: GPL-2.0
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include "os/unix_diag.h"

struct walk {
	unix_sock_fn fn;
	void *ctx;
};

static int take(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *head = nlmsg_hdr(msg);
	const struct unix_diag_msg *diag = nlmsg_data(head);
	struct nlattr *attrs[UNIX_DIAG_MAX + 1];
	struct walk *walk = arg;

	if (nlmsg_datalen(head) < (int)sizeof(*diag) ||
	    nlmsg_parse(head, sizeof(*diag), attrs, UNIX_DIAG_MAX, NULL))
		return NL_SKIP;
	walk->fn(walk->ctx, diag->udiag_ino,
		 attrs[UNIX_DIAG_PEER] && nla_len(attrs[UNIX_DIAG_PEER]) >= 4 ?
		 nla_get_u32(attrs[UNIX_DIAG_PEER]) : 0, diag->udiag_type);
	return NL_OK;
}

int unix_diag_walk(unix_sock_fn fn, void *ctx)
{
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX, .udiag_states = ~0U, .udiag_show = UDIAG_SHOW_PEER,
	};
	struct walk walk = { .fn = fn, .ctx = ctx };
	struct nl_sock *sock = nl_socket_alloc();
	int ret = -1;

	if (!sock)
		return -1;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, &walk);
	if (!nl_connect(sock, NETLINK_SOCK_DIAG) &&
	    nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request,
			   sizeof(request)) >= 0)
		ret = nl_recvmsgs_default(sock) < 0 ? -1 : 0;
	nl_socket_free(sock);
	return ret;
}
