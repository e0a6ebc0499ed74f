// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family: a dump of sessions, and a multicast group.
 * The contract is uapi/linux/splice_vm_netlink.h.
 *
 * Only the machine's administrator may learn which process has a session on which other: the family
 * wants CAP_NET_ADMIN in the initial user namespace, in the initial network namespace. There is no
 * module alias for the family: any user may ask for its name, and that must load nothing.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>

#include "netlink.h"

/**
 * struct splice_vm_viewer - whose numbers a message has
 * @pid_ns: of processes
 * @user_ns: of users
 */
struct splice_vm_viewer {
	struct pid_namespace *pid_ns;
	struct user_namespace *user_ns;
};

static struct genl_family splice_vm_family;

/* Empty where the kernel cannot keep others from listening: then nothing is told. */
static const struct genl_multicast_group splice_vm_groups[] = {
	COMPAT_GENL_MCGRP_ADMIN(SPLICE_VM_MCGRP_EVENTS)
};

#define SPLICE_VM_GROUP_EVENTS	0

static int splice_vm_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, SPLICE_VM_A_SESSION_PAD);
}

static int splice_vm_put_counters(struct sk_buff *skb,
				  struct splice_vm_session *sess)
{
	const struct {
		int attr;
		u64 value;
	} counters[] = {
		{ SPLICE_VM_A_SESSION_EPOCHS, atomic64_read(&sess->epochs) },
		{ SPLICE_VM_A_SESSION_PAGES_SENT,
		  atomic64_read(&sess->pages_sent) },
		{ SPLICE_VM_A_SESSION_PAGES_COPIED,
		  atomic64_read(&sess->pages_copied) },
		{ SPLICE_VM_A_SESSION_PAGES_DIRTY,
		  atomic64_read(&sess->pages_dirty) },
		{ SPLICE_VM_A_SESSION_PAGES_DROPPED,
		  atomic64_read(&sess->pages_dropped) },
		{ SPLICE_VM_A_SESSION_BYTES_SENT,
		  atomic64_read(&sess->bytes_sent) },
		{ SPLICE_VM_A_SESSION_BYTES_COPIED,
		  atomic64_read(&sess->bytes_copied) },
		{ SPLICE_VM_A_SESSION_PAGES_INFLIGHT,
		  atomic64_read(&sess->inflight) },
		{ SPLICE_VM_A_SESSION_OVERFLOWS,
		  READ_ONCE(sess->dirty_log.overflows) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (splice_vm_put_u64(skb, counters[i].attr, counters[i].value))
			return -EMSGSIZE;
	}
	return 0;
}

/* The struct is ours while the session is; its counters need no lock. */
static int splice_vm_put_mm(struct sk_buff *skb, struct mm_struct *mm)
{
	if (splice_vm_put_u64(skb, SPLICE_VM_A_SESSION_MM_PAGES,
			      READ_ONCE(mm->total_vm)) ||
	    splice_vm_put_u64(skb, SPLICE_VM_A_SESSION_MM_RESIDENT,
			      get_mm_rss(mm)))
		return -EMSGSIZE;
	return 0;
}

static int splice_vm_put_target(struct sk_buff *skb,
				struct splice_vm_session *sess,
				const struct splice_vm_viewer *viewer)
{
	/* Pairs with the release in splice_vm_target_bind(). */
	struct mm_struct *mm = smp_load_acquire(&sess->mm);

	if (!mm)
		return 0;
	if (nla_put_u32(skb, SPLICE_VM_A_SESSION_PID,
			pid_nr_ns(sess->pid, viewer->pid_ns)) ||
	    nla_put_u32(skb, SPLICE_VM_A_SESSION_MAX_INFLIGHT,
			sess->max_inflight))
		return -EMSGSIZE;
	if (READ_ONCE(sess->events.gone))
		return nla_put_flag(skb, SPLICE_VM_A_SESSION_GONE);
	return splice_vm_put_mm(skb, mm);
}

static int splice_vm_put_session(struct sk_buff *skb,
				 struct splice_vm_session *sess,
				 const struct splice_vm_viewer *viewer)
{
	if (splice_vm_put_u64(skb, SPLICE_VM_A_SESSION_ID, sess->id) ||
	    nla_put_u32(skb, SPLICE_VM_A_SESSION_OPENER_PID,
			pid_nr_ns(sess->opener, viewer->pid_ns)) ||
	    nla_put_u32(skb, SPLICE_VM_A_SESSION_OPENER_UID,
			from_kuid_munged(viewer->user_ns, sess->opener_uid)) ||
	    splice_vm_put_target(skb, sess, viewer) ||
	    nla_put_u32(skb, SPLICE_VM_A_SESSION_TRACKER,
			splice_vm_session_tracker(sess)))
		return -EMSGSIZE;
	return splice_vm_put_counters(skb, sess);
}

/**
 * struct splice_vm_dump - one part of a dump
 * @skb: to be filled
 * @cb: of the dump
 * @viewer: who reads it
 */
struct splice_vm_dump {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	struct splice_vm_viewer viewer;
};

static int splice_vm_dump_session(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_dump *dump = arg;
	void *head;

	head = genlmsg_put(dump->skb, NETLINK_CB(dump->cb->skb).portid,
			   dump->cb->nlh->nlmsg_seq, &splice_vm_family,
			   NLM_F_MULTI, SPLICE_VM_CMD_SESSION_GET);
	if (!head)
		return -EMSGSIZE;
	if (splice_vm_put_session(dump->skb, sess, &dump->viewer)) {
		genlmsg_cancel(dump->skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(dump->skb, head);
	return 0;
}

/* As many sessions as fit; called again until it adds nothing. */
static int splice_vm_dump_sessions(struct sk_buff *skb,
				   struct netlink_callback *cb)
{
	struct splice_vm_dump dump = {
		.skb = skb,
		.cb = cb,
		.viewer = {
			.pid_ns = task_active_pid_ns(current),
			.user_ns = current_user_ns(),
		},
	};
	u64 *next = (u64 *)cb->ctx;
	int ret;

	BUILD_BUG_ON(sizeof(*next) > sizeof(cb->ctx));
	ret = splice_vm_sessions_walk(next, splice_vm_dump_session, &dump);
	return skb->len ?: ret;
}

static const struct genl_small_ops splice_vm_ops[] = {
	{
		.cmd = SPLICE_VM_CMD_SESSION_GET,
		.flags = GENL_ADMIN_PERM,
		.dumpit = splice_vm_dump_sessions,
	},
};

static struct genl_family splice_vm_family __ro_after_init = {
	.name = SPLICE_VM_FAMILY_NAME,
	.version = SPLICE_VM_FAMILY_VERSION,
	.parallel_ops = true,
	.small_ops = splice_vm_ops,
	.n_small_ops = ARRAY_SIZE(splice_vm_ops),
	.mcgrps = splice_vm_groups,
	.n_mcgrps = ARRAY_SIZE(splice_vm_groups),
	.module = THIS_MODULE,
};

/**
 * splice_vm_netlink_notify() - tell the multicast group
 * @sess: whom it is about
 * @cmd: SPLICE_VM_CMD_*_NTF
 *
 * Sleeps. When a listener misses the message, for want of memory here or of room in its socket,
 * the listener's next recv() says ENOBUFS.
 */
void splice_vm_netlink_notify(struct splice_vm_session *sess,
			      enum splice_vm_cmd cmd)
{
	const struct splice_vm_viewer viewer = {
		.pid_ns = &init_pid_ns,
		.user_ns = &init_user_ns,
	};
	struct sk_buff *skb;
	void *head;

	if (!ARRAY_SIZE(splice_vm_groups) ||
	    !genl_has_listeners(&splice_vm_family, &init_net,
				SPLICE_VM_GROUP_EVENTS))
		return;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		goto lost;
	head = genlmsg_put(skb, 0, 0, &splice_vm_family, 0, cmd);
	if (!head || splice_vm_put_session(skb, sess, &viewer)) {
		nlmsg_free(skb);
		goto lost;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&splice_vm_family, skb, 0, SPLICE_VM_GROUP_EVENTS,
			  GFP_KERNEL);
	return;

lost:
	genl_set_err(&splice_vm_family, &init_net, 0, SPLICE_VM_GROUP_EVENTS,
		     -ENOBUFS);
}

int __init splice_vm_netlink_register(void)
{
	return genl_register_family(&splice_vm_family);
}

void splice_vm_netlink_unregister(void)
{
	genl_unregister_family(&splice_vm_family);
}
