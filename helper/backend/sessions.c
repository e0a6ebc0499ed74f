// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stddef.h>
#include "backend/sessions.h"

#define ATTR(name)	SPLICE_VM_A_SESSION_##name

/* Room for some hundred events while the terminal is slow. */
#define EVENT_BUFFER	(1 << 20)

static const struct {
	size_t offset;
	int attr;
} numbers32[] = {
	{ offsetof(struct session, opener_pid), ATTR(OPENER_PID) },
	{ offsetof(struct session, opener_uid), ATTR(OPENER_UID) },
	{ offsetof(struct session, pid), ATTR(PID) },
	{ offsetof(struct session, tracker), ATTR(TRACKER) },
	{ offsetof(struct session, max_inflight), ATTR(MAX_INFLIGHT) },
}, numbers64[] = {
	{ offsetof(struct session, id), ATTR(ID) },
	{ offsetof(struct session, mm_pages), ATTR(MM_PAGES) },
	{ offsetof(struct session, mm_resident), ATTR(MM_RESIDENT) },
	{ offsetof(struct session, epochs), ATTR(EPOCHS) },
	{ offsetof(struct session, pages_sent), ATTR(PAGES_SENT) },
	{ offsetof(struct session, pages_copied), ATTR(PAGES_COPIED) },
	{ offsetof(struct session, pages_dirty), ATTR(PAGES_DIRTY) },
	{ offsetof(struct session, pages_dropped), ATTR(PAGES_DROPPED) },
	{ offsetof(struct session, bytes_sent), ATTR(BYTES_SENT) },
	{ offsetof(struct session, bytes_copied), ATTR(BYTES_COPIED) },
	{ offsetof(struct session, pages_inflight), ATTR(PAGES_INFLIGHT) },
	{ offsetof(struct session, overflows), ATTR(OVERFLOWS) },
};

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static int parse_attributes(struct nlmsghdr *head, struct nlattr **attrs)
{
	struct nla_policy policy[SPLICE_VM_A_SESSION_MAX + 1] = {
		[SPLICE_VM_A_SESSION_GONE] = { .type = NLA_FLAG },
	};

	for (size_t i = 0; i < COUNT(numbers32); i++)
		policy[numbers32[i].attr].type = NLA_U32;
	for (size_t i = 0; i < COUNT(numbers64); i++)
		policy[numbers64[i].attr].type = NLA_U64;
	return genlmsg_parse(head, 0, attrs, SPLICE_VM_A_SESSION_MAX, policy);
}

int session_parse(struct nlmsghdr *head, struct session *session, struct error *err)
{
	struct nlattr *attrs[SPLICE_VM_A_SESSION_MAX + 1], *attr;

	*session = (struct session){ 0 };
	if (!genlmsg_valid_hdr(head, 0) || parse_attributes(head, attrs) ||
	    !attrs[ATTR(ID)])
		return error_set(err, CODE_INTERNAL, "load the module of this version",
				 "the module's message cannot be understood");
	session->cmd = genlmsg_hdr(head)->cmd;
	session->attached = attrs[ATTR(PID)];
	session->gone = attrs[ATTR(GONE)];
	for (size_t i = 0; i < COUNT(numbers32); i++) {
		attr = attrs[numbers32[i].attr];
		if (attr)
			*(uint32_t *)((char *)session + numbers32[i].offset) = nla_get_u32(attr);
	}
	for (size_t i = 0; i < COUNT(numbers64); i++) {
		attr = attrs[numbers64[i].attr];
		if (attr)
			*(uint64_t *)((char *)session + numbers64[i].offset) = nla_get_u64(attr);
	}
	return 0;
}

static int netlink_failed(int ret, const char *what, struct error *err)
{
	switch (-ret) {
	case NLE_OBJ_NOTFOUND:
		return error_set(err, CODE_NOT_READY,
				 "load it with modprobe splice_vm; it answers in the initial network namespace only",
				 "%s: the module splice_vm does not answer", what);
	case NLE_PERM:
	case NLE_NOACCESS:
		return error_set(err, CODE_NOT_READY, "run as root", "%s: not allowed", what);
	default:
		return error_set(err, CODE_INTERNAL, NULL, "%s: %s", what, nl_geterror(ret));
	}
}

/* Argument of the callback of one libnl call. */
struct receive {
	session_fn fn;
	void *ctx;
	struct error *err;
};

static int take_message(struct nl_msg *msg, void *arg)
{
	struct receive *receive = arg;
	struct session session;

	if (session_parse(nlmsg_hdr(msg), &session, receive->err) ||
	    receive->fn(receive->ctx, &session, receive->err))
		return NL_STOP;
	return NL_OK;
}

static int receive_messages(struct sessions *sessions, session_fn fn, void *ctx,
			    struct error *err)
{
	struct receive receive = { .fn = fn, .ctx = ctx, .err = err };
	int ret;

	nl_socket_modify_cb(sessions->sock, NL_CB_VALID, NL_CB_CUSTOM, take_message, &receive);
	ret = nl_recvmsgs_default(sessions->sock);
	return error_is_set(err) ? 0 : ret;
}

static int join(struct sessions *sessions, struct error *err)
{
	int group = genl_ctrl_resolve_grp(sessions->sock, SPLICE_VM_FAMILY_NAME,
					  SPLICE_VM_MCGRP_EVENTS);
	int ret;

	if (group < 0)
		return error_set(err, CODE_NOT_READY, "use a newer kernel",
				 "this kernel cannot keep others from listening: there are no events");
	nl_socket_disable_seq_check(sessions->sock);
	/* the kernel cuts the size to the administrator's limit */
	nl_socket_set_buffer_size(sessions->sock, EVENT_BUFFER, 0);
	ret = nl_socket_add_membership(sessions->sock, group);
	return ret < 0 ? netlink_failed(ret, "cannot listen for events", err) : 0;
}

int sessions_open(struct sessions *sessions, bool events, struct error *err)
{
	int ret;

	sessions->sock = nl_socket_alloc();
	if (!sessions->sock)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a netlink socket");
	ret = genl_connect(sessions->sock);
	if (ret < 0) {
		netlink_failed(ret, "cannot use netlink", err);
		goto close;
	}
	sessions->family = genl_ctrl_resolve(sessions->sock, SPLICE_VM_FAMILY_NAME);
	if (sessions->family < 0) {
		netlink_failed(sessions->family, "cannot see sessions", err);
		goto close;
	}
	if (!events || !join(sessions, err))
		return 0;
close:
	sessions_close(sessions);
	return -1;
}

void sessions_close(struct sessions *sessions)
{
	nl_socket_free(sessions->sock);
	sessions->sock = NULL;
}

int sessions_dump(struct sessions *sessions, session_fn fn, void *ctx, struct error *err)
{
	int ret = genl_send_simple(sessions->sock, sessions->family, SPLICE_VM_CMD_SESSION_GET,
				   SPLICE_VM_FAMILY_VERSION, NLM_F_DUMP);

	if (ret >= 0)
		ret = receive_messages(sessions, fn, ctx, err);
	if (ret < 0)
		netlink_failed(ret, "cannot see sessions", err);
	return error_is_set(err) ? -1 : 0;
}

int sessions_listen(struct sessions *sessions, session_fn fn, void *ctx, bool *lost,
		    struct error *err)
{
	int ret = receive_messages(sessions, fn, ctx, err);

	/* libnl turns ENOBUFS into this error */
	*lost = ret == -NLE_NOMEM;
	if (ret < 0 && !*lost)
		netlink_failed(ret, "cannot listen for events", err);
	return error_is_set(err) ? -1 : 0;
}
