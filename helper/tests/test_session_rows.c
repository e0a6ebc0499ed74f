// SPDX-License-Identifier: GPL-2.0
/* Sessions as a person and a program read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cli/session_rows.h"
#include "tests/session_messages.h"

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

static void an_event_of_a_newer_module_has_no_name(void **state)
{
	assert_null(session_event_name(SPLICE_VM_CMD_MAX + 1));
	assert_string_equal(session_event_name(SPLICE_VM_CMD_EPOCH_NTF), "epoch");
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
		cmocka_unit_test(what_is_absent),
		cmocka_unit_test(an_event_of_a_newer_module_has_no_name),
		cmocka_unit_test(lines_for_people),
		cmocka_unit_test(the_table_is_straight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
