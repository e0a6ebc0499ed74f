// SPDX-License-Identifier: GPL-2.0
/* What the module says of its sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/session_messages.h"

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

static void what_is_absent_is_zero(void **state)
{
	struct nl_msg *msg = message(SPLICE_VM_CMD_SESSION_GET);
	struct session session;

	nla_put_u64(msg, SPLICE_VM_A_SESSION_ID, 3);
	assert_int_equal(parse(msg, &session), 0);
	assert_int_equal(session.id, 3);
	assert_false(session.attached);
	assert_int_equal(session.pid, 0);
	assert_int_equal(parse(full_message(SPLICE_VM_CMD_SESSION_GET, true), &session), 0);
	assert_true(session.attached);
	assert_true(session.gone);
	assert_int_equal(session.mm_resident, 0);
}

static void a_newer_module_says_more(void **state)
{
	struct nl_msg *msg = full_message(SPLICE_VM_CMD_EPOCH_NTF, false);
	struct session session;

	nla_put_u64(msg, SPLICE_VM_A_SESSION_MAX + 5, 1);
	assert_int_equal(parse(msg, &session), 0);
	assert_int_equal(session.pid, 178);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_place),
		cmocka_unit_test(what_is_absent_is_zero),
		cmocka_unit_test(a_newer_module_says_more),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
