// SPDX-License-Identifier: GPL-2.0
/*
 * What the backend without the module makes of the mode that the user asked for, and how the program
 * is frozen for a moment for its tracker.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/proc.h"
#include "source/choose.h"
#include "tests/counting.h"

/** struct kit - a program that counts */
struct kit {
	struct counting program;
	char dir[64];
	struct record record;
	struct guard guard;
	struct source_keeper *keeper;
	struct hold hold;
	struct choice choice;
	struct migrate_options opts;
	struct source_mm mm;
	struct error err;
};

static struct kit *kit;

static int set_up(void **state)
{
	struct proc_status status;
	char id[32];

	kit = calloc(1, sizeof(*kit));
	counting_start(&kit->program, NULL);
	strcpy(kit->dir, "/tmp/test-choose-XXXXXX");
	snprintf(id, sizeof(id), "test-%d", kit->program.pid);
	if (!mkdtemp(kit->dir) || proc_status_read(kit->program.pid, &status, &kit->err) ||
	    guard_plan(&kit->guard, kit->program.pid, false, id, &kit->err))
		return -1;
	source_mm_init(&kit->mm, 1, kit->program.pid);
	kit->record.guard = kit->guard;
	kit->record.start_ticks = status.start_ticks;
	kit->hold.guard = &kit->guard;
	kit->hold.keeper = &kit->keeper;
	kit->keeper = source_keeper_start(&kit->record, kit->dir, &kit->err);
	kit->opts.backend = BACKEND_VMREAD;
	return kit->keeper ? 0 : -1;
}

static int tear_down(void **state)
{
	source_mm_destroy(&kit->mm);
	source_keeper_end(kit->keeper, false);
	kill(kit->program.pid, SIGKILL);
	waitpid(kit->program.pid, NULL, 0);
	guard_forget(&kit->guard);
	close(kit->guard.pidfd);
	munmap((void *)kit->program.count, 4096);
	free(kit);
	return 0;
}

static int choose(enum migrate_mode mode)
{
	kit->opts.mode = mode;
	return choose_backend(&kit->choice, &kit->hold, &kit->opts, &kit->mm, &kit->err);
}

/* A signal in its place would be seen by the program. */
static void have_no_freezer(void)
{
	kit->guard.group.kind = CGROUP_NONE;
}

static void without_a_freezer_all_is_sent_afterwards(void **state)
{
	have_no_freezer();
	assert_int_equal(choose(MODE_AUTO), 0);
	assert_false(kit->mm.backend->tracks);
	assert_int_equal(kit->choice.mode, MODE_POSTCOPY);
	assert_false(kit->choice.verify);
}

static void without_a_freezer_rounds_are_refused(void **state)
{
	have_no_freezer();
	assert_int_equal(choose(MODE_PRECOPY), -1);
	assert_int_equal(kit->err.code, CODE_NOT_READY);
	assert_non_null(strstr(kit->err.hint, "--mode postcopy"));
}

static void what_the_user_asked_for_stays(void **state)
{
	have_no_freezer();
	kit->opts.verify = true;
	assert_int_equal(choose(MODE_POSTCOPY), 0);
	assert_int_equal(kit->choice.mode, MODE_POSTCOPY);
	assert_true(kit->choice.verify);
}

static void a_tracker_is_not_left_out_in_silence(void **state)
{
	have_no_freezer();
	kit->opts.tracker = TRACKER_SOFT_DIRTY;
	assert_int_equal(choose(MODE_AUTO), -1);
	assert_int_equal(kit->err.code, CODE_NOT_READY);
	assert_non_null(strstr(kit->err.what, "the tracker soft-dirty cannot be had"));
}

static void the_module_is_not_replaced_in_silence(void **state)
{
	if (module_is_there())
		skip();
	kit->opts.backend = BACKEND_MODULE;
	assert_int_equal(choose(MODE_AUTO), -1);
	assert_int_equal(kit->err.code, CODE_NOT_READY);
	assert_null(kit->mm.backend);
}

/* What a tracker asks for, here on a kernel without soft-dirty bits too. Without a keeper the helper thaws. */
static void the_program_stands_for_a_moment(void **state)
{
	struct backend_hold hold = hold_for_backend(&kit->hold);
	struct source_keeper *keeper = kit->keeper;

	assert_int_equal(hold.freeze(hold.ctx, &kit->err), 0);
	assert_true(counting_stands(&kit->program));
	assert_true(hold.stands(hold.ctx, kit->program.pid));
	assert_false(hold.stands(hold.ctx, getpid()));
	assert_int_equal(hold.thaw(hold.ctx, &kit->err), 0);
	assert_false(hold.stands(hold.ctx, kit->program.pid));
	assert_true(counting_runs(&kit->program));
	assert_int_equal(hold.freeze(hold.ctx, &kit->err), 0);
	assert_true(counting_stands(&kit->program));
	kit->keeper = NULL;
	assert_int_equal(hold.thaw(hold.ctx, &kit->err), 0);
	assert_true(counting_runs(&kit->program));
	assert_false(cgroup_exists(&kit->guard.group));
	kit->keeper = keeper;
}

static int count_runs(void *ctx, const struct splice_vm_run *run, uint32_t nr, struct error *err)
{
	*(uint64_t *)ctx += nr;
	return 0;
}

/* Memory is compared where soft-dirty bits alone are followed. A kernel without them has no rounds. */
static void a_tracker_looks_and_then_tells(void **state)
{
	struct backend_hold hold = hold_for_backend(&kit->hold);
	struct backend *backend;
	uint64_t nr = 0;

	assert_int_equal(choose(MODE_AUTO), 0);
	backend = kit->mm.backend;
	assert_int_equal(kit->choice.verify, backend->tracks);
	assert_int_equal(kit->choice.mode, backend->tracks ? MODE_AUTO : MODE_POSTCOPY);
	if (!backend->tracks)
		return;
	assert_int_equal(backend->ops->track(backend, &kit->err), 0);
	assert_int_equal(hold.freeze(hold.ctx, &kit->err), 0);
	backend->ops->look(backend, false);
	assert_int_equal(hold.thaw(hold.ctx, &kit->err), 0);
	assert_int_equal(backend->ops->scan(backend, count_runs, &nr, &kit->err), 0);
	assert_true(nr > 0);
}

static void rounds_follow_writes(void **state)
{
	struct backend module = { .tracks = true, .criu_tracks = true };
	struct backend vmread = { .tracks = true, .criu_tracks = false };

	assert_true(mode_follows(MODE_AUTO, &module));
	assert_true(mode_follows(MODE_POSTCOPY, &module));
	assert_true(mode_follows(MODE_PRECOPY, &vmread));
	assert_false(mode_follows(MODE_POSTCOPY, &vmread));
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(without_a_freezer_all_is_sent_afterwards),
		KIT_TEST(without_a_freezer_rounds_are_refused),
		KIT_TEST(what_the_user_asked_for_stays),
		KIT_TEST(a_tracker_is_not_left_out_in_silence),
		KIT_TEST(the_module_is_not_replaced_in_silence),
		KIT_TEST(the_program_stands_for_a_moment),
		KIT_TEST(a_tracker_looks_and_then_tells),
		cmocka_unit_test(rounds_follow_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
