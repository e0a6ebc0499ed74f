// SPDX-License-Identifier: GPL-2.0
/* Pages that a child has in common with its parent travel once: rounds of two real processes. */
#define _GNU_SOURCE
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/pagemap.h"
#include "tests/fake_backend.h"
#include "tests/precopy_kit.h"

#define PARENT	1	/* the objects */
#define CHILD	2
#define PAGES	100
#define OWN	10	/* pages that the child wrote, from the first one on */

/** struct bench - @write_fd: the child writes to the page whose number comes; @done_fd: it has */
struct bench {
	struct fake fakes[2];
	struct precopy_kit kit;
	pid_t child;
	int write_fd, done_fd;
};

static struct bench *bench;

static void write_to(uint64_t page)
{
	*(volatile uint64_t *)AT(page) += 1;
}

static void child_body(int write_fd, int done_fd)
{
	uint64_t page;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t i = 0; i < OWN; i++)
		write_to(i);
	do {
		if (write(done_fd, &page, 1) != 1)
			break;
		if (read(write_fd, &page, sizeof(page)) == sizeof(page))
			write_to(page);
	} while (true);
	_exit(0);
}

static void child_writes(uint64_t page)
{
	assert_int_equal(write(bench->write_fd, &page, sizeof(page)), sizeof(page));
	assert_int_equal(read(bench->done_fd, &page, 1), 1);
}

static int fork_child(void)
{
	int to[2], from[2];
	char byte;

	if (pipe(to) || pipe(from))
		return -1;
	bench->child = fork();
	if (!bench->child)
		child_body(to[0], from[1]);
	close(to[0]);
	close(from[1]);
	bench->write_fd = to[1];
	bench->done_fd = from[0];
	return bench->child > 0 && read(from[0], &byte, 1) == 1 ? 0 : -1;
}

static int add(pid_t pid, struct fake *fake)
{
	struct source_process *process = tree_add(&bench->kit.tree, pid, &bench->kit.err);

	if (!process || source_mm_read_vmas(&process->mm, &bench->kit.err))
		return -1;
	fake_init(fake);
	process->mm.backend = &fake->backend;
	fake_add_scan(fake, 0, run_of(0, PAGES, SPLICE_VM_RUN_DIRTY));
	return 0;
}

static int make_program(void)
{
	void *at = mmap((void *)FAKE_BASE, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != (void *)FAKE_BASE)
		return -1;
	madvise(at, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
	memset(at, 1, PAGES * PAGE_BYTES);
	return fork_child() || add(getpid(), &bench->fakes[0]) || add(bench->child, &bench->fakes[1]);
}

static int joins_not(void *ctx, struct source_process *process, struct error *err)
{
	return -1;
}

static int set_up(void **state)
{
	bench = calloc(1, sizeof(*bench));
	if (make_program() || precopy_kit_open(&bench->kit, 2, 5))
		return -1;
	bench->kit.pre.join = joins_not;
	return 0;
}

static int tear_down(void **state)
{
	precopy_kit_close(&bench->kit);
	kill(bench->child, SIGKILL);
	waitpid(bench->child, NULL, 0);
	close(bench->write_fd);
	close(bench->done_fd);
	munmap((void *)FAKE_BASE, PAGES * PAGE_BYTES);
	free(bench);
	return 0;
}

static void run(void)
{
	precopy_kit_run(&bench->kit);
}

static void sent(unsigned int object, uint64_t pages, uint64_t copies)
{
	assert_int_equal(bench->kit.dest.seen[object].pages, pages);
	assert_int_equal(bench->kit.dest.seen[object].copies, copies);
}

static void what_is_shared_travels_once(void **state)
{
	run();
	sent(PARENT, PAGES, 0);
	sent(CHILD, OWN, PAGES - OWN);
	assert_int_equal(bench->kit.pre.rounds, 2);
	assert_int_equal(bench->kit.figures.rounds[0].pages, PAGES + OWN);
	assert_int_equal(bench->kit.figures.rounds[0].dirty_pages, PAGES - OWN);
	assert_int_equal(bench->kit.figures.rounds[1].inherited, PAGES - OWN);
	assert_int_equal(bench->kit.figures.rounds[1].dirty_pages, 0);
	assert_int_equal(tree_find_mm(&bench->kit.tree, CHILD)->dest_current.nr, PAGES);
	assert_int_equal(bench->kit.dest.seen[CHILD].stale, 0);
	assert_int_equal(bench->kit.dest.announced, 2 * PAGES * PAGE_BYTES);
}

/* The parent's page at the destination is older than the one that both have: it is not copied yet. */
static void what_the_parent_sends_again_is_put_off(void **state)
{
	fake_add_scan(&bench->fakes[0], 1, run_of(50, 5, SPLICE_VM_RUN_DIRTY));
	run();
	sent(PARENT, PAGES + 5, 0);
	sent(CHILD, OWN, PAGES - OWN);
	assert_int_equal(bench->kit.pre.rounds, 3);
	assert_int_equal(bench->kit.figures.rounds[1].inherited, PAGES - OWN - 5);
	assert_int_equal(bench->kit.figures.rounds[2].inherited, 5);
}

/* The program stops although all that is shared was put off in the only round. */
static void what_was_put_off_is_copied_before_the_program_stops(void **state)
{
	bench->kit.pre.rule.max_downtime_ns = 1UL << 40;
	fake_add_scan(&bench->fakes[0], 1, run_of(50, 5, SPLICE_VM_RUN_DIRTY));
	fake_add_scan(&bench->fakes[1], 1, run_of(0, 2, SPLICE_VM_RUN_DIRTY));
	run();
	assert_int_equal(bench->kit.figures.nr_rounds, 1);
	assert_int_equal(bench->kit.pre.rounds, 2);
	sent(PARENT, PAGES, 0);
	sent(CHILD, OWN, PAGES - OWN - 5);
	assert_int_equal(bench->kit.dest.seen[PARENT].stale, 5);
	assert_int_equal(bench->kit.dest.seen[CHILD].stale, 5 + 2);
	assert_int_equal(tree_find_mm(&bench->kit.tree, CHILD)->dest_current.nr, PAGES - 5 - 2);
}

/* Page 50, which the scan that is under way tells as written. */
static void write_in_scan(struct fake *fake, size_t scan)
{
	if (scan != 1)
		return;
	if (fake == &bench->fakes[1])
		child_writes(50);
	else
		write_to(50);
	fake_add_scan(fake, 1, run_of(50, 1, SPLICE_VM_RUN_DIRTY));
}

/* A look before the scan would believe what the scan does not tell again. */
static void what_the_child_writes_before_its_scan_is_its_own(void **state)
{
	bench->fakes[1].on_scan = write_in_scan;
	run();
	sent(PARENT, PAGES, 0);
	sent(CHILD, OWN + 1, PAGES - OWN - 1);
}

/* Both have the page when the child is looked at; the copy at the destination is still the old one. */
static void what_the_parent_writes_before_its_scan_is_not_the_childs(void **state)
{
	bench->fakes[0].on_scan = write_in_scan;
	run();
	sent(PARENT, PAGES + 1, 0);
	sent(CHILD, OWN + 1, PAGES - OWN - 1);
	assert_int_equal(bench->kit.pre.rounds, 3);
}

/* What the parent has no longer, and the destination neither. */
static void what_the_parent_dropped_goes_as_pages(void **state)
{
	fake_add_scan(&bench->fakes[0], 1, run_of(20, 30, SPLICE_VM_RUN_DROPPED));
	run();
	sent(CHILD, OWN + 30, PAGES - OWN - 30);
}

/* The destination forgets such pages when it has the list of mappings. */
static void what_the_parent_unmapped_goes_as_pages(void **state)
{
	struct inherit *inherit = &bench->kit.tree.processes[1]->inherit;
	struct source_mm *mm = tree_find_mm(&bench->kit.tree, CHILD);
	struct source_mm *parent = tree_find_mm(&bench->kit.tree, PARENT);
	size_t nr = parent->vmas.nr;

	assert_int_equal(page_set_add(&mm->dirty, AT(0), PAGES, &bench->kit.err), 0);
	assert_int_equal(page_set_add(&parent->dest_current, AT(0), PAGES, &bench->kit.err), 0);
	assert_int_equal(inherit_find(inherit, mm, parent, &bench->kit.err), 0);
	assert_int_equal(inherit_plan(inherit, parent, &bench->kit.err), 0);
	assert_int_equal(inherit->shared.nr, PAGES - OWN);
	parent->vmas.nr = 0;
	assert_int_equal(inherit_plan(inherit, parent, &bench->kit.err), 0);
	parent->vmas.nr = nr;
	assert_int_equal(inherit->shared.nr, 0);
}

/* The page map is that of another program now. */
static void nothing_is_shared_with_a_parent_that_has_called_exec(void **state)
{
	struct inherit *inherit = &bench->kit.tree.processes[1]->inherit;
	struct source_mm *mm = tree_find_mm(&bench->kit.tree, CHILD);

	assert_int_equal(page_set_add(&mm->dirty, AT(0), PAGES, &bench->kit.err), 0);
	assert_int_equal(inherit_find(inherit, mm, tree_find_mm(&bench->kit.tree, PARENT),
				      &bench->kit.err), 0);
	assert_int_equal(inherit->shared.nr, PAGES - OWN);
	bench->fakes[0].gone = true;
	assert_int_equal(inherit_find(inherit, mm, tree_find_mm(&bench->kit.tree, PARENT),
				      &bench->kit.err), 0);
	assert_int_equal(inherit->shared.nr, 0);
	assert_int_equal(inherit_find(inherit, mm, NULL, &bench->kit.err), 0);
	assert_int_equal(inherit->shared.nr, 0);
}

/** struct recorded - frames that looks have recorded, by the number of the object; @reads: calls */
static struct recorded {
	uint64_t frames[PAGES];
	unsigned int reads;
	bool told;
} recorded[CHILD + 1];

static bool recorded_frames(struct backend *backend, uint64_t addr, size_t nr, uint64_t *entries)
{
	struct recorded *of = &recorded[backend == &bench->fakes[0].backend ? PARENT : CHILD];

	of->reads++;
	if (!of->told)
		return false;
	assert_true(addr >= AT(0) && addr + nr * PAGE_BYTES <= AT(PAGES));
	memcpy(entries, of->frames + (addr - AT(0)) / PAGE_BYTES, nr * sizeof(*entries));
	return true;
}

static struct backend_ops looking;

/* Each page has the same frame in both, as of the looks. */
static void look_has_recorded(void)
{
	looking = fake_ops;
	looking.frames = recorded_frames;
	for (int i = PARENT; i <= CHILD; i++) {
		recorded[i] = (struct recorded){ .told = true };
		for (uint64_t page = 0; page < PAGES; page++)
			recorded[i].frames[page] = PM_PRESENT | (page + 1000);
		bench->fakes[i - PARENT].backend.ops = &looking;
	}
}

/* The pages that both have now may be others than in the looks: KSM, or an mremap there and back. */
static void what_the_looks_saw_apart_is_not_shared(void **state)
{
	look_has_recorded();
	recorded[PARENT].frames[50] = PM_PRESENT | 1;
	run();
	sent(PARENT, PAGES, 0);
	sent(CHILD, 1, PAGES - 1);
}

static void parent_writes_behind_the_looks(struct fake *fake, size_t scan)
{
	if (scan == 1)
		write_to(50);
	if (scan == 2)
		fake_add_scan(fake, 2, run_of(50, 1, SPLICE_VM_RUN_DIRTY));
}

/* The child has the page of the looks, which the destination has of the parent. */
static void what_the_parent_writes_behind_the_looks_is_no_matter(void **state)
{
	look_has_recorded();
	bench->fakes[0].on_scan = parent_writes_behind_the_looks;
	run();
	sent(PARENT, PAGES + 1, 0);
	sent(CHILD, 0, PAGES);
}

/* A process that did not stand has frames of another moment. */
static void what_was_not_looked_at_is_not_shared(void **state)
{
	look_has_recorded();
	recorded[PARENT].told = false;
	run();
	sent(CHILD, PAGES, 0);
}

/* Of @step pages one, from the first one on. */
static void find_in_every(uint64_t step)
{
	struct source_mm *mm = tree_find_mm(&bench->kit.tree, CHILD);

	source_mm_clear_dirty(mm);
	for (uint64_t page = 0; page < PAGES; page += step)
		assert_int_equal(page_set_add(&mm->dirty, AT(page), 1, &bench->kit.err), 0);
	assert_int_equal(inherit_find(&bench->kit.tree.processes[1]->inherit, mm,
				      tree_find_mm(&bench->kit.tree, PARENT), &bench->kit.err), 0);
}

static void scattered_pages_are_read_at_once(void **state)
{
	look_has_recorded();
	find_in_every(2);
	assert_int_equal(bench->kit.tree.processes[1]->inherit.shared.nr, PAGES / 2);
	assert_false(page_set_has(&bench->kit.tree.processes[1]->inherit.shared, AT(1)));
	assert_int_equal(recorded[PARENT].reads, 1);
	assert_int_equal(recorded[CHILD].reads, 1);
	/* a gap that is long is not read */
	find_in_every(PAGES - 1);
	assert_int_equal(recorded[PARENT].reads, 3);
}

/* It has called exec: one look at all there is. A later look sees what is written, which is never shared. */
static void a_child_that_shares_nothing_is_looked_at_once(void **state)
{
	struct inherit *inherit = &bench->kit.tree.processes[1]->inherit;

	look_has_recorded();
	recorded[CHILD].told = false;
	find_in_every(1);
	assert_false(inherit->apart);
	recorded[CHILD].told = true;
	find_in_every(1);
	memset(recorded[CHILD].frames, 0, sizeof(recorded[CHILD].frames));
	find_in_every(1);
	assert_int_equal(inherit->shared.nr, 0);
	assert_false(inherit->apart);
	inherit->found = false;
	find_in_every(1);
	assert_true(inherit->apart);
	recorded[CHILD].reads = 0;
	run();
	assert_int_equal(recorded[CHILD].reads, 0);
	sent(CHILD, PAGES, 0);
}

/* COPY is as good as nothing on the wire: only the wait at the end of the round is for the other machine. */
static void copies_take_their_time_there(void **state)
{
	assert_int_equal(precopy_ack_ms(0), 120000);
	assert_in_range(precopy_ack_ms((200UL << 30) / PAGE_BYTES), 200 * 10000, 400 * 10000);
	assert_int_equal(precopy_ack_ms(UINT64_MAX / PAGE_BYTES), INT_MAX);
}

/* All memory comes behind the move: the child's too. */
static void post_copy_shares_nothing(void **state)
{
	bench->kit.pre.mode = MODE_POSTCOPY;
	run();
	sent(PARENT, 0, 0);
	sent(CHILD, 0, 0);
	assert_int_equal(tree_find_mm(&bench->kit.tree, CHILD)->dest_current.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_shared_travels_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_parent_sends_again_is_put_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_put_off_is_copied_before_the_program_stops, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_child_writes_before_its_scan_is_its_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_parent_writes_before_its_scan_is_not_the_childs,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_parent_dropped_goes_as_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_parent_unmapped_goes_as_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_shared_with_a_parent_that_has_called_exec, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_looks_saw_apart_is_not_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_parent_writes_behind_the_looks_is_no_matter, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_not_looked_at_is_not_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(scattered_pages_are_read_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_child_that_shares_nothing_is_looked_at_once, set_up,
						tear_down),
		cmocka_unit_test(copies_take_their_time_there),
		cmocka_unit_test_setup_teardown(post_copy_shares_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
