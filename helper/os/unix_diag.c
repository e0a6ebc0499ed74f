// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "os/sock_diag.h"
#include "os/unix_diag.h"

struct walk {
	unix_sock_fn fn;
	void *ctx;
};

static void take_attrs(struct unix_sock *sock, struct nlattr **attrs)
{
	struct nlattr *peer = attrs[UNIX_DIAG_PEER], *queue = attrs[UNIX_DIAG_RQLEN];
	struct nlattr *name = attrs[UNIX_DIAG_NAME], *file = attrs[UNIX_DIAG_VFS];

	if (peer && nla_len(peer) >= 4)
		sock->peer = nla_get_u32(peer);
	if (queue && nla_len(queue) >= (int)sizeof(struct unix_diag_rqlen))
		sock->unread = ((struct unix_diag_rqlen *)nla_data(queue))->udiag_rqueue;
	if (file && nla_len(file) >= (int)sizeof(struct unix_diag_vfs))
		sock->file_ino = ((struct unix_diag_vfs *)nla_data(file))->udiag_vfs_ino;
	if (!name)
		return;
	sock->name = nla_data(name);
	sock->name_bytes = nla_len(name);
	/* the kernel may count the final 0 of a path */
	while (sock->name_bytes && sock->name[0] && !sock->name[sock->name_bytes - 1])
		sock->name_bytes--;
}

static int take(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *head = nlmsg_hdr(msg);
	const struct unix_diag_msg *diag = nlmsg_data(head);
	struct nlattr *attrs[UNIX_DIAG_MAX + 1];
	struct unix_sock sock = { 0 };
	struct walk *walk = arg;

	if (nlmsg_datalen(head) < (int)sizeof(*diag) ||
	    nlmsg_parse(head, sizeof(*diag), attrs, UNIX_DIAG_MAX, NULL))
		return NL_SKIP;
	sock.ino = diag->udiag_ino;
	sock.type = diag->udiag_type;
	sock.listens = diag->udiag_state == TCP_LISTEN;
	take_attrs(&sock, attrs);
	walk->fn(walk->ctx, &sock);
	return NL_OK;
}

int unix_diag_walk_in(pid_t pid, unix_sock_fn fn, void *ctx)
{
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX, .udiag_states = ~0U, .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_NAME | UDIAG_SHOW_VFS |
			      UDIAG_SHOW_RQLEN,
	};
	struct walk walk = { .fn = fn, .ctx = ctx };
	struct nl_sock *sock = nl_socket_alloc();
	int ret = -1;

	if (!sock)
		return -1;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, &walk);
	if (!sock_diag_connect(sock, pid) &&
	    nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request,
			   sizeof(request)) >= 0)
		ret = nl_recvmsgs_default(sock) < 0 ? -1 : 0;
	nl_socket_free(sock);
	return ret;
}

int unix_diag_walk(unix_sock_fn fn, void *ctx)
{
	return unix_diag_walk_in(0, fn, ctx);
}
