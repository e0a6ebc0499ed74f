// SPDX-License-Identifier: GPL-2.0
/* Who has to go when another migration needs what it holds. */
#define _GNU_SOURCE
#include <fcntl.h>
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

/* A migration's process ends with all that it has. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:incoming_run\n";
}

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

static void call(size_t at, const char *host, int64_t deadline_ms)
{
	struct caller *caller = &door.callers[at];

	caller->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(caller->fd >= 0);
	caller->got = sizeof(caller->preamble);
	caller->deadline_ms = deadline_ms;
	caller->preamble.kind = CONN_CONTROL;
	caller->preamble.id[0] = at;
	strcpy(caller->host, host);
}

/* One more may start now: that is not the first of the many that one address made. */
static void who_calls_once_is_served(void **state)
{
	int status;

	(void)state;
	opts.places = places_new(0);
	/* no path: what is started ends at once */
	opts.images_base = "none";
	migrations_init(&migrations, &opts, &door);
	migrations.starts = 1;
	for (size_t i = 0; i < DOOR_CALLERS; i++)
		door.callers[i].fd = -1;
	for (size_t i = 0; i < 5; i++)
		call(i, "10.0.0.1", 1000 + i);
	call(5, "10.0.0.3", 2000);
	call(6, "10.0.0.2", 1500);
	migrations_take(&migrations);
	assert_int_equal(door.callers[6].fd, -1);
	assert_true(door.callers[0].fd >= 0 && door.callers[5].fd >= 0);
	assert_string_equal(migrations.all[0].host, "10.0.0.2");
	assert_int_equal(waitpid(migrations.all[0].pid, &status, 0), migrations.all[0].pid);
	for (size_t i = 0; i < 6; i++)
		close(door.callers[i].fd);
	close(migrations.all[0].sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_one_gives_memory), cmocka_unit_test(who_calls_once_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
