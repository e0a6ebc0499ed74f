// SPDX-License-Identifier: GPL-2.0
/* The rounds of pre-copy, with a backend and a destination of the test. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/fake_backend.h"
#include "tests/precopy_kit.h"

#define LOOKER(backend)	((struct looker *)(backend))

#define MMS	2
#define PAGES	100

/**
 * struct looker - a backend that needs the program to stand
 * @stands: the program does; struct stop has it
 * @looked: since the last scan; @looks: in all
 */
struct looker {
	struct fake fake;
	bool *stands, looked;
	unsigned int looks;
};

/** struct stop - how often the program was stopped; @left: a process that has left it */
struct stop {
	bool stands, fails;
	unsigned int freezes, thaws;
	pid_t left;
	struct looker lookers[MMS];
	struct backend_ops ops;
};

struct bench {
	struct fake fakes[MMS];
	struct precopy_kit kit;
	struct stop stop;
};

/* The mappings are this process's own, so that each list of mappings has the pages of the test. */
static int map_pages(void)
{
	void *at = mmap((void *)FAKE_BASE, MMS * PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return at == (void *)FAKE_BASE ? 0 : -1;
}

static int make_tree(struct bench *bench)
{
	for (int i = 0; i < MMS; i++) {
		struct source_process *process = tree_add(&bench->kit.tree, getpid(), &bench->kit.err);

		if (!process || source_mm_read_vmas(&process->mm, &bench->kit.err))
			return -1;
		fake_init(&bench->fakes[i]);
		process->mm.backend = &bench->fakes[i].backend;
		fake_add_scan(&bench->fakes[i], 0, run_of(0, PAGES, SPLICE_VM_RUN_DIRTY));
	}
	return 0;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	return map_pages() || make_tree(bench) ||
	       precopy_kit_open(&bench->kit, MMS, 5) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	precopy_kit_close(&bench->kit);
	munmap((void *)FAKE_BASE, MMS * PAGES * PAGE_BYTES);
	free(bench);
	return 0;
}

static void run(struct bench *bench)
{
	precopy_kit_run(&bench->kit);
}

static int stop_freeze(void *ctx, struct error *err)
{
	struct stop *stop = ctx;

	assert_false(stop->stands);
	stop->stands = true;
	stop->freezes++;
	return stop->fails ? error_set(err, CODE_TARGET, NULL, "this is a test") : 0;
}

static bool stop_stands(void *ctx, pid_t pid)
{
	const struct stop *stop = ctx;

	return stop->stands && pid != stop->left;
}

static int stop_thaw(void *ctx, struct error *err)
{
	struct stop *stop = ctx;

	stop->stands = false;
	stop->thaws++;
	return 0;
}

/* A second look before the scan would lose what the first one found. */
static void looker_look(struct backend *backend, bool last)
{
	assert_true(*LOOKER(backend)->stands);
	assert_false(LOOKER(backend)->looked);
	assert_false(last);
	LOOKER(backend)->looked = true;
	LOOKER(backend)->looks++;
}

/* Comparing takes long, and sending longer: the program runs. */
static int looker_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	assert_false(*LOOKER(backend)->stands);
	if (!LOOKER(backend)->looked)
		return 0;
	LOOKER(backend)->looked = false;
	return fake_scan(backend, fn, ctx, err);
}

static void have_lookers(struct bench *bench)
{
	struct stop *stop = &bench->stop;
	struct source_process *process;
	int i = 0;

	stop->ops = fake_ops;
	stop->ops.look = looker_look;
	stop->ops.scan = looker_scan;
	tree_for_each(&bench->kit.tree, process) {
		struct looker *looker = &stop->lookers[i];

		*looker = (struct looker){ .fake = bench->fakes[i++], .stands = &stop->stands };
		looker->fake.backend.ops = &stop->ops;
		looker->fake.backend.criu_tracks = false;
		process->mm.backend = &looker->fake.backend;
	}
	bench->kit.pre.hold = (struct backend_hold){
		.freeze = stop_freeze, .stands = stop_stands, .thaw = stop_thaw, .ctx = stop,
	};
}

/* Before the first round, and after each. */
static void the_program_stands_once_a_round(void **state)
{
	struct bench *bench = *state;
	struct stop *stop = &bench->stop;

	fake_add_scan(&bench->fakes[1], 1, run_of(10, 30, SPLICE_VM_RUN_DIRTY));
	have_lookers(bench);
	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 2);
	assert_int_equal(stop->freezes, 3);
	assert_int_equal(stop->thaws, 3);
	for (int i = 0; i < MMS; i++)
		assert_int_equal(stop->lookers[i].looks, 3);
	assert_int_equal(bench->kit.dest.seen[2].pages, PAGES + 30);
	assert_true(bench->kit.figures.rounds_stood_ns > 0);
}

/* It runs while the others stand: a look at it would lose a write. The next look finds all. */
static void who_does_not_stand_is_left_out(void **state)
{
	struct bench *bench = *state;
	struct stop *stop = &bench->stop;

	stop->left = getpid();
	have_lookers(bench);
	run(bench);
	for (int i = 0; i < MMS; i++) {
		assert_int_equal(stop->lookers[i].looks, 0);
		assert_int_equal(bench->kit.dest.seen[i + 1].pages, 0);
	}
}

static void a_failed_freeze_is_undone(void **state)
{
	struct bench *bench = *state;
	struct stop *stop = &bench->stop;

	stop->fails = true;
	have_lookers(bench);
	assert_int_equal(precopy_run(&bench->kit.pre, &bench->kit.err), -1);
	assert_string_equal(bench->kit.err.what, "this is a test");
	assert_int_equal(stop->thaws, 1);
	assert_int_equal(stop->lookers[0].looks, 0);
}

/* Nobody goes by what a look finds: the program does not stand for it. */
static void nobody_stands_for_nothing(void **state)
{
	struct bench *bench = *state;
	struct stop *stop = &bench->stop;

	bench->kit.pre.mode = MODE_POSTCOPY;
	have_lookers(bench);
	run(bench);
	assert_int_equal(stop->freezes, 0);
}

/* One address space is clean after the first round, the other one after the second. */
static void rounds_until_all_is_clean(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[1], 1, run_of(10, 30, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 2);
	assert_int_equal(bench->kit.figures.nr_rounds, 2);
	assert_int_equal(bench->kit.figures.rounds[0].pages, 2 * PAGES);
	assert_int_equal(bench->kit.figures.rounds[0].dirty_pages, 30);
	assert_int_equal(bench->kit.figures.rounds[1].pages, 30);
	assert_int_equal(bench->kit.figures.rounds[1].dirty_pages, 0);
	assert_int_equal(bench->kit.dest.seen[1].pages, PAGES);
	assert_int_equal(bench->kit.dest.seen[2].pages, PAGES + 30);
	assert_int_equal(bench->kit.dest.acks, 2);
	for (int i = 1; i <= MMS; i++) {
		assert_int_equal(bench->kit.dest.seen[i].rounds, 2);
		assert_int_equal(tree_find_mm(&bench->kit.tree, i)->dest_current.nr, PAGES);
		assert_int_equal(bench->kit.dest.seen[i].stale, 0);
	}
}

/* What is dirty after the last round is old at the destination. */
static void the_last_dirty_pages_are_stale(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = tree_find_mm(&bench->kit.tree, 1);

	bench->kit.pre.rule.max_rounds = 1;
	fake_add_scan(&bench->fakes[0], 1, run_of(10, 30, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 1);
	assert_int_equal(bench->kit.dest.seen[1].stale, 30);
	assert_int_equal(mm->dest_current.nr, PAGES - 30);
	/* the freeze begins with nothing */
	assert_int_equal(mm->dirty.nr, 0);
}

static void dropped_pages_are_told(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[1], 1, run_of(50, 5, SPLICE_VM_RUN_DROPPED));
	run(bench);
	assert_int_equal(bench->kit.dest.seen[2].dropped, 5);
	assert_int_equal(tree_find_mm(&bench->kit.tree, 2)->dest_current.nr, PAGES - 5);
}

/* Not in any mapping: they were unmapped since the scan. */
static void pages_without_a_mapping_are_not_sent(void **state)
{
	struct bench *bench = *state;

	fake_add_scan(&bench->fakes[0], 0, run_of(MMS * PAGES, 7, SPLICE_VM_RUN_DIRTY));
	run(bench);
	assert_int_equal(bench->kit.dest.seen[1].pages, PAGES);
}

/* CRIU goes by the soft-dirty bits: they are followed, and nothing is sent. */
static void no_rounds_in_mode_postcopy(void **state)
{
	struct bench *bench = *state;

	bench->kit.pre.mode = MODE_POSTCOPY;
	run(bench);
	assert_int_equal(bench->fakes[0].tracked, 1);
	assert_int_equal(bench->fakes[0].nr_scans, 1);
	assert_int_equal(bench->kit.pre.rounds, 0);
	assert_int_equal(bench->kit.dest.seen[1].pages + bench->kit.dest.seen[1].stale, 0);
}

static void nothing_is_followed_when_nobody_goes_by_it(void **state)
{
	struct bench *bench = *state;

	bench->kit.pre.mode = MODE_POSTCOPY;
	for (int i = 0; i < MMS; i++)
		bench->fakes[i].backend.criu_tracks = false;
	run(bench);
	assert_int_equal(bench->fakes[0].tracked, 0);
	assert_int_equal(bench->fakes[0].nr_scans, 0);
}

static void the_wrong_round_is_acknowledged(void **state)
{
	struct bench *bench = *state;

	bench->kit.dest.ack_ahead = 1;
	assert_int_equal(precopy_run(&bench->kit.pre, &bench->kit.err), -1);
	assert_int_equal(bench->kit.err.code, CODE_PEER);
}

static void a_failure_ends_the_rounds(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct bench *bench = *state;

	mailbox_lock(&bench->kit.box);
	mailbox_fail_locked(&bench->kit.box, &why, true);
	mailbox_unlock(&bench->kit.box);
	assert_int_equal(precopy_run(&bench->kit.pre, &bench->kit.err), -1);
	assert_int_equal(bench->kit.err.code, CODE_ABORTED);
	assert_int_equal(bench->fakes[0].sent, 0);
}

/* A memfd of written pages. */
static int add_shared(struct bench *bench)
{
	static uint8_t pages[PAGES * PAGE_BYTES];
	int fd = memfd_create("test", MFD_CLOEXEC);

	memset(pages, 1, sizeof(pages));
	assert_int_equal(write(fd, pages, sizeof(pages)), sizeof(pages));
	assert_int_equal(shms_init(&bench->kit.shms, NULL, &bench->kit.err), 0);
	bench->kit.dest.nr_objects = MMS + 1;
	return fd;
}

/* What went in the first round may have changed since: another round tells. */
static void shared_memory_is_looked_at_again(void **state)
{
	struct bench *bench = *state;
	int fd = add_shared(bench);

	run(bench);
	assert_int_equal(bench->kit.figures.nr_rounds, 2);
	assert_int_equal(bench->kit.dest.seen[MMS + 1].pages, PAGES);
	assert_int_equal(bench->kit.dest.seen[MMS + 1].rounds, 2);
	close(fd);
}

/* It cannot come later: there are rounds of it, and of nothing else. */
static void shared_memory_has_rounds_in_postcopy(void **state)
{
	struct bench *bench = *state;
	int fd = add_shared(bench);

	bench->kit.pre.mode = MODE_POSTCOPY;
	run(bench);
	assert_int_equal(bench->kit.dest.seen[MMS + 1].pages, PAGES);
	assert_int_equal(bench->kit.dest.seen[1].rounds, bench->kit.dest.seen[MMS + 1].rounds);
	assert_int_equal(bench->kit.dest.seen[1].pages, 0);
	assert_int_equal(bench->kit.dest.announced, PAGES * PAGE_BYTES);
	close(fd);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(rounds_until_all_is_clean), BENCH_TEST(the_last_dirty_pages_are_stale),
		BENCH_TEST(dropped_pages_are_told),
		BENCH_TEST(pages_without_a_mapping_are_not_sent),
		BENCH_TEST(no_rounds_in_mode_postcopy),
		BENCH_TEST(nothing_is_followed_when_nobody_goes_by_it),
		BENCH_TEST(the_program_stands_once_a_round),
		BENCH_TEST(who_does_not_stand_is_left_out),
		BENCH_TEST(a_failed_freeze_is_undone), BENCH_TEST(nobody_stands_for_nothing),
		BENCH_TEST(the_wrong_round_is_acknowledged), BENCH_TEST(a_failure_ends_the_rounds),
		BENCH_TEST(shared_memory_is_looked_at_again),
		BENCH_TEST(shared_memory_has_rounds_in_postcopy),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
