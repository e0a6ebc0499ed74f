// SPDX-License-Identifier: GPL-2.0
/* What the kernel says of a mapping that another thread moves in that moment. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>
#include "base/clock.h"
#include "os/uffd.h"
#include "tests/own_uffd.h"

#define PAGES	4
#define BYTES	(PAGES * PAGE_BYTES)
#define RUN_MS	3000

/** struct mover - moves a mapping to and fro; @here: by the events that were read */
struct mover {
	uint8_t *home, *away;
	int uffd;
	bool here;
	atomic_bool stop, failed;
};

static void *move(void *arg)
{
	struct mover *mover = arg;
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	while (!atomic_load(&mover->stop))
		if (mremap(mover->home, BYTES, BYTES, flags, mover->away) == MAP_FAILED ||
		    mremap(mover->away, BYTES, BYTES, flags, mover->home) == MAP_FAILED)
			atomic_store(&mover->failed, true);
	return NULL;
}

static void read_events(struct mover *mover)
{
	struct uffd_msg msg;

	while (read(mover->uffd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_REMAP)
			mover->here = msg.arg.remap.to == (uintptr_t)mover->home;
}

/* Each of these looks for the mapping. @home: a page there is in nobody's way */
static enum uffd_result ask(struct mover *mover, unsigned int i)
{
	static const uint8_t page[PAGE_BYTES];
	uint64_t at = (uintptr_t)mover->home, done;

	if (i % 3 == 0)
		return uffd_mapped(mover->uffd, at, 1);
	if (i % 3 == 1)
		return uffd_copy(mover->uffd, at, page, 1, &done);
	return uffd_zero(mover->uffd, at, 1, &done);
}

/*
 * A page whose mapping was moved, and whose REMAP was not read, has a mapping: who believes that it has
 * none forgets the page, and the program reads zeros at the new place.
 */
static void a_mapping_that_moves_is_there(void **state)
{
	uint8_t *map = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mover mover = { .home = map, .away = map + BYTES, .here = true };
	int64_t until = clock_now_ms() + RUN_MS;
	size_t wrong = 0;
	pthread_t thread;

	need_uffd();
	assert_ptr_not_equal(map, MAP_FAILED);
	mover.uffd = make_uffd(map, PAGES);
	assert_true(mover.uffd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, move, &mover), 0);
	for (unsigned int i = 0; clock_now_ms() < until; i++) {
		wrong += ask(&mover, i) == UFFD_NO_VMA && mover.here;
		read_events(&mover);
	}
	atomic_store(&mover.stop, true);
	/* the last moves wait for their events */
	while (pthread_tryjoin_np(thread, NULL))
		read_events(&mover);
	assert_false(atomic_load(&mover.failed));
	assert_int_equal(wrong, 0);
	close(mover.uffd);
	munmap(map, 2 * BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mapping_that_moves_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
