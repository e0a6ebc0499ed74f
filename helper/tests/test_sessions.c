// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include "backend/sessions.h"
#include "cli/session_rows.h"

#define FAMILY	30

static struct nl_msg *message(int cmd)
{
	struct nl_msg *msg = nlmsg_alloc();

	assert_non_null(msg);
	assert_non_null(genlmsg_put(msg, 0, 1, FAMILY, 0, 0, cmd, SPLICE_VM_FAMILY_VERSION));
	return msg;
}

/* Each number is another, so that none can be taken for another. */
static struct nl_msg *full_message(int cmd, bool gone)
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

static int parse(struct nl_msg *msg, struct session *session)
{
	struct error err = { 0 };
	int ret = session_parse(nlmsg_hdr(msg), session, &err);

	assert_int_equal(error_is_set(&err), ret != 0);
	nlmsg_free(msg);
	return ret;
}

static void every_number_has_its_place(void **state)
{
	const uint64_t base = 1ULL << 40;
	struct session session;

	assert_int_equal(parse(full_message(SPLICE_VM_CMD_EPOCH_NTF, false), &session), 0);
	assert_int_equal(session.cmd, SPLICE_VM_CMD_EPOCH_NTF);
	assert_true(session.attached);
	assert_false(session.gone);
	assert_int_equal(session.id, base + SPLICE_VM_A_SESSION_ID);
	assert_int_equal(session.epochs, base + SPLICE_VM_A_SESSION_EPOCHS);
	assert_int_equal(session.pages_sent, base + SPLICE_VM_A_SESSION_PAGES_SENT);
	assert_int_equal(session.pages_copied, base + SPLICE_VM_A_SESSION_PAGES_COPIED);
	assert_int_equal(session.pages_dirty, base + SPLICE_VM_A_SESSION_PAGES_DIRTY);
	assert_int_equal(session.pages_dropped, base + SPLICE_VM_A_SESSION_PAGES_DROPPED);
	assert_int_equal(session.bytes_sent, base + SPLICE_VM_A_SESSION_BYTES_SENT);
	assert_int_equal(session.bytes_copied, base + SPLICE_VM_A_SESSION_BYTES_COPIED);
	assert_int_equal(session.pages_inflight, base + SPLICE_VM_A_SESSION_PAGES_INFLIGHT);
	assert_int_equal(session.overflows, base + SPLICE_VM_A_SESSION_OVERFLOWS);
	assert_int_equal(session.mm_pages, 512);
	assert_int_equal(session.mm_resident, 256);
	assert_int_equal(session.opener_pid, 210);
	assert_int_equal(session.opener_uid, 1000);
	assert_int_equal(session.pid, 178);
	assert_int_equal(session.tracker, SPLICE_VM_TRACKER_SOFT_DIRTY);
	assert_int_equal(session.max_inflight, 65536);
}

static void what_is_absent(void **state)
{
	struct nl_msg *msg = message(SPLICE_VM_CMD_SESSION_GET);
	struct session session;
	json_t *json;

	nla_put_u64(msg, SPLICE_VM_A_SESSION_ID, 3);
	assert_int_equal(parse(msg, &session), 0);
	assert_false(session.attached);
	json = session_json(&session);
	assert_null(json_object_get(json, "pid"));
	assert_null(json_object_get(json, "mm_pages"));
	assert_int_equal(json_integer_value(json_object_get(json, "session")), 3);
	json_decref(json);

	assert_int_equal(parse(full_message(SPLICE_VM_CMD_SESSION_GET, true), &session), 0);
	assert_true(session.gone);
	json = session_json(&session);
	assert_true(json_is_true(json_object_get(json, "gone")));
	assert_int_equal(json_integer_value(json_object_get(json, "pid")), 178);
	assert_null(json_object_get(json, "mm_resident"));
	json_decref(json);
}

static void a_newer_module_says_more(void **state)
{
	struct nl_msg *msg = full_message(SPLICE_VM_CMD_EPOCH_NTF, false);
	struct session session;

	nla_put_u64(msg, SPLICE_VM_A_SESSION_MAX + 5, 1);
	assert_int_equal(parse(msg, &session), 0);
	assert_int_equal(session.pid, 178);
	assert_null(session_event_name(SPLICE_VM_CMD_MAX + 1));
}

static void nonsense_is_refused(void **state)
{
	struct nl_msg *msg = message(SPLICE_VM_CMD_SESSION_GET);
	struct session session;

	nla_put_u32(msg, SPLICE_VM_A_SESSION_PID, 1);
	assert_int_equal(parse(msg, &session), -1);

	msg = message(SPLICE_VM_CMD_SESSION_GET);
	nla_put_u32(msg, SPLICE_VM_A_SESSION_ID, 1);
	assert_int_equal(parse(msg, &session), -1);

	msg = message(SPLICE_VM_CMD_SESSION_GET);
	nla_put_u64(msg, SPLICE_VM_A_SESSION_ID, 1);
	nla_put_u8(msg, SPLICE_VM_A_SESSION_PID, 1);
	assert_int_equal(parse(msg, &session), -1);

	msg = message(SPLICE_VM_CMD_SESSION_GET);
	nlmsg_hdr(msg)->nlmsg_len = NLMSG_HDRLEN + 1;
	assert_int_equal(parse(msg, &session), -1);
}

static void lines_for_people(void **state)
{
	struct session session;
	char text[256], cut[12];

	parse(full_message(SPLICE_VM_CMD_SESSION_NEW_NTF, false), &session);
	session.id = 3;
	session_event_text(&session, text, sizeof(text));
	assert_string_equal(text, "session 3: attached to process 178, opened by process 210 of user 1000");
	session.cmd = SPLICE_VM_CMD_TARGET_GONE_NTF;
	session_event_text(&session, text, sizeof(text));
	assert_string_equal(text, "session 3: process 178 has exited or called exec");
	session_event_text(&session, cut, sizeof(cut));
	assert_string_equal(cut, "session 3: ");
	session_row(&session, "redis-server", text, sizeof(text));
	assert_non_null(strstr(text, " 178 redis-server "));
	/* 512 and 256 pages. */
	assert_non_null(strstr(text, " 2.0 "));
	assert_non_null(strstr(text, " 1.0 soft-dirty "));
}

/* Columns stand under their names. */
static void the_table_is_straight(void **state)
{
	struct session session = {
		.attached = true, .id = 1, .pid = 2, .opener_pid = 3, .pages_inflight = 4,
	};
	char text[256];

	session_row(&session, "x", text, sizeof(text));
	assert_int_equal(strlen(text), strlen(session_head));
	assert_int_equal(strchr(text, 'x') - text, strstr(session_head, "PROGRAM") - session_head);
	assert_int_equal(strstr(text, "none") - text, strstr(session_head, "TRACKER") - session_head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_place),
		cmocka_unit_test(what_is_absent),
		cmocka_unit_test(a_newer_module_says_more),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(lines_for_people),
		cmocka_unit_test(the_table_is_straight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
