// SPDX-License-Identifier: GPL-2.0
/* Who has to go when another migration needs what it holds. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/migrations.h"

#define LONG_MS		1000000

static struct migrations migrations;
static struct serve_options opts;
static struct door door;

/* A migration's process that came to Setup, has @reserved, and got nothing for @idle_ms. */
static struct migration *begin(size_t nr, uint64_t reserved, int64_t idle_ms)
{
	struct migration *migration = &migrations.all[nr];

	place_begin(migration->place);
	place_advance(migration->place, PLACE_SETUP);
	atomic_store(&migration->place->reserved, reserved);
	atomic_store(&migration->place->progress_ms, places_now_ms() - idle_ms);
	migration->pid = fork();
	if (!migration->pid) {
		for (;;)
			pause();
	}
	assert_true(migration->pid > 0);
	return migration;
}

static void end(struct migration *migration, bool evicted)
{
	int status;

	assert_int_equal(migration->kill_ms != 0, evicted);
	assert_int_equal(atomic_load(&migration->place->evicted), evicted);
	if (!evicted)
		kill(migration->pid, SIGKILL);
	assert_int_equal(waitpid(migration->pid, &status, 0), migration->pid);
	assert_int_equal(WTERMSIG(status), evicted ? SIGTERM : SIGKILL);
}

static void idle_one_gives_memory(void **state)
{
	struct migration *busy, *empty, *idle, *moved, *restored;

	opts.places = places_new(0);
	migrations_init(&migrations, &opts, &door);
	busy = begin(0, 1UL << 30, 0);
	empty = begin(1, 0, 3 * LONG_MS);
	idle = begin(2, 1UL << 30, LONG_MS);
	moved = begin(3, 1UL << 30, 2 * LONG_MS);
	moved->committed = true;
	restored = begin(4, 1UL << 30, 2 * LONG_MS);
	place_busy(restored->place, LONG_MS);
	migrations_tick(&migrations);
	assert_int_equal(idle->kill_ms, 0);
	atomic_store(&opts.places->memory_short, true);
	migrations_tick(&migrations);
	assert_false(atomic_load(&opts.places->memory_short));
	end(busy, false);
	end(empty, false);
	end(idle, true);
	end(moved, false);
	end(restored, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(idle_one_gives_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
