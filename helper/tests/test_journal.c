// SPDX-License-Identifier: GPL-2.0
/* What another process makes of a journal: spaces of this process, recorded and replayed, and events between both. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/thread.h"
#include "pages/space_events.h"
#include "tests/own_uffd.h"

#define P	PAGE_BYTES
#define PAGES	32UL

/** struct scene - @set: the spaces, recorded; @copy: the same ones, out of the journal */
static struct scene {
	uint8_t *area;
	struct journal journal, mapped;
	struct space_set set, copy;
} scene;

static enum install no_fill(struct space_set *set, struct space *space, uint64_t addr, struct error *err)
{
	return INSTALL_AGAIN;
}

static void no_release(struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
}

static void no_more(struct space_set *set)
{
}

static int no_born(struct space_set *set, struct space *child, struct error *err)
{
	return 0;
}

static void bury(struct space_set *set, struct space *space)
{
	space->gone = true;
	journal_add(set->journal, JOURNAL_BURY, space->number, 0, 0, 0);
	if (space->uffd >= 0)
		close(space->uffd);
	space->uffd = -1;
	space_set_empty_todo(set, space);
}

static const struct space_set_ops ops = {
	.fill = no_fill, .release = no_release, .more = no_more, .born = no_born, .bury = bury,
};

/* A space that lacks all pages of the area. */
static struct space *take(struct space_set *set, struct journal *journal, int uffd)
{
	struct error err = { 0 };
	struct space *space = space_new(uffd, &err);

	set->ops = &ops;
	set->journal = journal;
	space->number = journal_space(journal);
	journal_add(journal, JOURNAL_ROOT, space->number, uffd, 0, 0);
	assert_int_equal(page_set_add(&space->todo, (uintptr_t)scene.area, PAGES, &err), 0);
	assert_int_equal(space_set_add(set, space, &err), 0);
	return space;
}

static void set_up(void)
{
	struct error err = { 0 };
	int uffd;

	need_uffd();
	memset(&scene, 0, sizeof(scene));
	scene.area = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd = make_uffd(scene.area, PAGES);
	assert_true(uffd >= 0);
	assert_int_equal(journal_open(&scene.journal, &err), 0);
	take(&scene.set, &scene.journal, uffd);
}

static void take_down(void)
{
	for (size_t i = 0; i < scene.set.nr; i++)
		if (scene.set.list[i]->uffd >= 0)
			close(scene.set.list[i]->uffd);
	space_set_free(&scene.set);
	space_set_free(&scene.copy);
	journal_close(&scene.mapped);
	journal_close(&scene.journal);
	munmap(scene.area, PAGES * P);
}

static void settle(void)
{
	struct error err = { 0 };

	for (int i = 0; i < 20; i++) {
		usleep(1000);
		for (size_t j = 0; j < scene.set.nr; j++)
			space_events_read(&scene.set, scene.set.list[j], &err);
	}
	assert_false(error_is_set(&err));
}

/* All of the journal, as another process does it, which has none of the descriptors. */
static void replay(void)
{
	struct error err = { 0 };

	assert_int_equal(journal_map(&scene.mapped, dup(scene.journal.fd), &err), 0);
	scene.mapped.replays = true;
	for (uint64_t i = 0; i < journal_nr(&scene.mapped); i++) {
		const struct journal_entry *entry = &scene.mapped.entries[i];

		if (entry->op == JOURNAL_ROOT)
			take(&scene.copy, &scene.mapped, -1);
		else
			assert_int_equal(space_replay(scene.copy.list[entry->space], entry, -1, &err), 0);
	}
}

static void compare(void)
{
	assert_int_equal(scene.copy.nr, scene.set.nr);
	for (size_t i = 0; i < scene.set.nr; i++) {
		struct space *one = scene.set.list[i], *other = scene.copy.list[i];

		assert_int_equal(one->gone, other->gone);
		assert_int_equal(one->in_epoch, other->in_epoch);
		assert_int_equal(one->todo.nr, other->todo.nr);
		assert_int_equal(page_set_common(&one->todo, &other->todo), one->todo.nr);
		assert_int_equal(one->nr_pieces, other->nr_pieces);
		assert_memory_equal(one->pieces, other->pieces, one->nr_pieces * sizeof(*one->pieces));
		assert_int_equal(one->past.nr, other->past.nr);
		assert_int_equal(one->unsure.nr, other->unsure.nr);
		assert_int_equal(!one->born_of, !other->born_of);
	}
}

static void *move(void *to)
{
	return mremap(scene.area + 8 * P, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void *drop(void *ctx)
{
	return (void *)(intptr_t)madvise(scene.area, 2 * P, MADV_DONTNEED);
}

static void *unmap(void *ctx)
{
	return (void *)(intptr_t)munmap(scene.area + 30 * P, 2 * P);
}

/* Return: the child, or its end */
static void *have_child(void *ctx)
{
	pid_t pid = fork();

	if (!pid) {
		usleep(300000);
		_exit(0);
	}
	return (void *)(intptr_t)pid;
}

static void while_settling(void *(*act)(void *ctx), void *ctx)
{
	pthread_t thread;

	pthread_create(&thread, NULL, act, ctx);
	do
		settle();
	while (pthread_tryjoin_np(thread, NULL));
	settle();
}

static void install(size_t page, uint64_t nr_pages)
{
	static const uint8_t content[8 * P] = { 1 };
	uint64_t done;

	assert_int_equal(space_install(scene.set.list[0], (uintptr_t)scene.area + page * P, nr_pages, content, &done),
			 INSTALL_OK);
}

static void journal_test_replay(void **state)
{
	uint64_t entries;
	void *to;

	set_up();
	to = mmap(NULL, 4 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	entries = journal_nr(&scene.journal);
	install(0, 1);
	install(1, 1);
	install(2, 6);
	/* runs that go on are one entry */
	assert_int_equal(journal_nr(&scene.journal), entries + 1);
	/* a page that was here, and is dropped, must not come again */
	while_settling(drop, NULL);
	while_settling(move, to);
	while_settling(unmap, NULL);
	while_settling(have_child, NULL);
	assert_int_equal(scene.set.nr, 2);
	install(16, 4);
	wait(NULL);
	for (int i = 0; i < 100 && !space_probe(scene.set.list[1]); i++)
		usleep(10000);
	bury(&scene.set, scene.set.list[1]);
	assert_true(scene.set.list[0]->nr_pieces);
	assert_int_equal(scene.set.list[0]->todo.nr, PAGES - 8 - 2 - 4);
	replay();
	compare();
	assert_false(journal_is_broken(&scene.journal));
	take_down();
	munmap(to, 4 * P);
}

/* Killed between two events that were read at once: one of them is an entry, and the other is found. */
static void journal_test_pending(void **state)
{
	struct uffd_msg msgs[JOURNAL_EVENTS], *msg = NULL;
	pthread_t threads[2];
	uint32_t number;
	ssize_t bytes;

	set_up();
	pthread_create(&threads[0], NULL, drop, NULL);
	pthread_create(&threads[1], NULL, unmap, NULL);
	usleep(200000);
	bytes = journal_read(&scene.journal, 0, scene.set.list[0]->uffd, msgs);
	assert_int_equal(bytes, 2 * sizeof(*msgs));
	assert_non_null(journal_pending(&scene.journal, 0, &number));
	journal_took(&scene.journal, 0);
	assert_null(journal_pending(&scene.journal, 0, &number));
	msg = journal_pending(&scene.journal, 1, &number);
	assert_non_null(msg);
	assert_int_equal(msg->event, msgs[1].event);
	assert_int_equal(number, 0);
	assert_null(journal_pending(&scene.journal, 2, &number));
	assert_int_equal(journal_nr(&scene.journal), 2);
	journal_took(&scene.journal, 1);
	assert_null(journal_pending(&scene.journal, 1, &number));
	replay();
	assert_int_equal(scene.copy.list[0]->todo.nr, PAGES - 4);
	/* what is read next hides nothing of it, and brings nothing back */
	assert_int_equal(journal_read(&scene.journal, 0, scene.set.list[0]->uffd, msgs), -1);
	assert_null(journal_pending(&scene.journal, 1, &number));
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	take_down();
}

/* A fault is no entry: who waits looks again. */
static void *touch(void *at)
{
	return (void *)(uintptr_t)*(volatile uint8_t *)at;
}

static void journal_test_wake(void **state)
{
	struct uffd_msg msgs[JOURNAL_EVENTS];
	pthread_t thread;
	void *seen;

	set_up();
	pthread_create(&thread, NULL, touch, scene.area + 20 * P);
	usleep(200000);
	assert_int_equal(journal_read(&scene.journal, 0, scene.set.list[0]->uffd, msgs), sizeof(*msgs));
	assert_int_equal(msgs[0].event, UFFD_EVENT_PAGEFAULT);
	journal_took(&scene.journal, 0);
	assert_int_equal(journal_nr(&scene.journal), 1);
	/* the reader dies; the next one wakes all, and hears of the fault */
	space_wake_all(scene.set.list[0]);
	usleep(200000);
	assert_int_equal(journal_read(&scene.journal, 0, scene.set.list[0]->uffd, msgs), sizeof(*msgs));
	assert_int_equal(msgs[0].arg.pagefault.address & ~(P - 1), (uintptr_t)scene.area + 20 * P);
	install(20, 1);
	pthread_join(thread, &seen);
	assert_int_equal((uintptr_t)seen, 1);
	take_down();
}

/* Memory that is shorter than a journal is none: to read it would end in SIGBUS. */
static void journal_test_short(void **state)
{
	struct journal journal = { .fd = -1 };
	struct error err = { 0 };
	int fd = memfd_create("short", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, PAGE_BYTES), 0);
	assert_int_equal(journal_map(&journal, fd, &err), -1);
	assert_true(error_is_set(&err));
	assert_null(journal.head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(journal_test_short),
		cmocka_unit_test(journal_test_replay),
		cmocka_unit_test(journal_test_pending),
		cmocka_unit_test(journal_test_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
