/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of the module about sessions. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_SESSION_MESSAGES_H
#define MIGRATE_TESTS_SESSION_MESSAGES_H

#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include "backend/sessions.h"

#define FAMILY	30

static inline struct nl_msg *message(int cmd)
{
	struct nl_msg *msg = nlmsg_alloc();

	assert_non_null(msg);
	assert_non_null(genlmsg_put(msg, 0, 1, FAMILY, 0, 0, cmd, SPLICE_VM_FAMILY_VERSION));
	return msg;
}

/* Each number is another, so that none can be taken for another. */
static inline struct nl_msg *full_message(int cmd, bool gone)
{
	static const int numbers64[] = {
		SPLICE_VM_A_SESSION_ID, SPLICE_VM_A_SESSION_EPOCHS,
		SPLICE_VM_A_SESSION_PAGES_SENT, SPLICE_VM_A_SESSION_PAGES_COPIED,
		SPLICE_VM_A_SESSION_PAGES_DIRTY, SPLICE_VM_A_SESSION_PAGES_DROPPED,
		SPLICE_VM_A_SESSION_BYTES_SENT, SPLICE_VM_A_SESSION_BYTES_COPIED,
		SPLICE_VM_A_SESSION_PAGES_INFLIGHT, SPLICE_VM_A_SESSION_OVERFLOWS,
	};
	struct nl_msg *msg = message(cmd);

	for (size_t i = 0; i < sizeof(numbers64) / sizeof(*numbers64); i++)
		nla_put_u64(msg, numbers64[i], (1ULL << 40) + numbers64[i]);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_OPENER_PID, 210);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_OPENER_UID, 1000);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_PID, 178);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_TRACKER, SPLICE_VM_TRACKER_SOFT_DIRTY);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_MAX_INFLIGHT, 65536);
	if (gone) {
		nla_put_flag(msg, SPLICE_VM_A_SESSION_GONE);
	} else {
		nla_put_u64(msg, SPLICE_VM_A_SESSION_MM_PAGES, 512);
		nla_put_u64(msg, SPLICE_VM_A_SESSION_MM_RESIDENT, 256);
	}
	return msg;
}

static inline int parse(struct nl_msg *msg, struct session *session)
{
	struct error err = { 0 };
	int ret = session_parse(nlmsg_hdr(msg), session, &err);

	assert_int_equal(error_is_set(&err), ret != 0);
	nlmsg_free(msg);
	return ret;
}

#endif
