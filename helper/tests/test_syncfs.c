// SPDX-License-Identifier: GPL-2.0
/* A manager is asked for the files, and answers, refuses or hangs. */
#define _GNU_SOURCE
#include "source/syncfs.h"
#include "tests/msgfd_kit.h"

static struct mailbox box;

static struct syncfs *ask(void)
{
	static struct syncfs sync;
	uint8_t buf[16];

	memset(&sync, 0, sizeof(sync));
	memset(&err, 0, sizeof(err));
	sync.box = &box;
	msgfd_init(&sync.msgfd, msgfd.fd);
	assert_int_equal(syncfs_ask(&sync, &err), 0);
	assert_int_equal(read(far, buf, sizeof(buf)), 6);
	return &sync;
}

static void answered(void **state)
{
	struct syncfs *sync = ask();

	say(good, sizeof(good));
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_int_equal(sync->bytes, 5);
	assert_int_equal(sync->nr, 1);
	/* nothing is waited for when nothing was asked */
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_int_equal(syncfs_ask(NULL, &err), 0);
	assert_int_equal(syncfs_wait(NULL, &err), 0);
}

static void unsupported(void **state)
{
	struct syncfs *sync = ask();

	say("\2\0\0\0\x08\3", 6);
	assert_int_equal(syncfs_wait(sync, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	sync = ask();
	sync->shared = true;
	say("\2\0\0\0\x08\3", 6);
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_false(syncfs_is_on(sync));
	/* and it is asked no more */
	assert_int_equal(syncfs_ask(sync, &err), 0);
	assert_false(sync->asked);
}

/* A manager that hangs, with a byte now and then. */
static void a_failure_ends_it(void **state)
{
	struct error why = { .code = CODE_ABORTED, .what = "--max-frozen" };
	struct syncfs *sync = ask();

	say(good, 3);
	mailbox_lock(&box);
	mailbox_fail_locked(&box, &why, true);
	mailbox_unlock(&box);
	assert_int_equal(syncfs_wait(sync, &err), -1);
	assert_string_equal(err.what, "--max-frozen");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answered), CASE(unsupported), CASE(a_failure_ends_it),
	};

	mailbox_init(&box, "the destination");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
