// SPDX-License-Identifier: GPL-2.0
/* The migration that serve ends when another one needs its place or memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/migrations.h"
#include "dest/parent.h"

#define LONG_MS		1000000
#define PATIENCE_MS	10000

/* A migration's process ends with all that it has. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:migration_run\n";
}

static struct migrations migrations;
static struct serve_options opts;
static struct door door;

/* A migration's process that came to Setup, has @reserved, and got nothing for @idle_ms. */
static struct migration_process *begin(size_t nr, uint64_t reserved, int64_t idle_ms)
{
	struct migration_process *migration = &migrations.all[nr];

	place_begin(migration->place);
	place_advance(migration->place, PLACE_SETUP);
	atomic_store(&migration->place->reserved, reserved);
	atomic_store(&migration->place->progress_ms, clock_now_ms() - idle_ms);
	migration->pid = fork();
	if (!migration->pid) {
		for (;;)
			pause();
	}
	assert_true(migration->pid > 0);
	return migration;
}

static void end(struct migration_process *migration, bool evicted)
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
	struct migration_process *busy, *empty, *idle, *moved, *restored;

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

/* A newcomer does not wait for one that is told to end, and does not. */
static void the_next_is_ended_when_one_takes_long(void **state)
{
	struct migration_process *stuck, *idle;

	opts.places = places_new(0);
	migrations_init(&migrations, &opts, &door);
	stuck = begin(0, 1UL << 30, 2 * LONG_MS);
	idle = begin(1, 1UL << 30, LONG_MS);
	kill(stuck->pid, SIGSTOP);
	atomic_store(&opts.places->memory_short, true);
	migrations_tick(&migrations);
	assert_true(stuck->kill_ms);
	atomic_store(&opts.places->memory_short, true);
	migrations_tick(&migrations);
	assert_int_equal(idle->kill_ms, 0);
	/* as if it had been told so long ago */
	stuck->kill_ms -= 3000;
	atomic_store(&opts.places->memory_short, true);
	migrations_tick(&migrations);
	kill(stuck->pid, SIGCONT);
	end(stuck, true);
	end(idle, true);
}

static void call(size_t at, const char *host, int64_t deadline_ms)
{
	struct caller *caller = &door.callers[at];

	caller->conn.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(caller->conn.fd >= 0);
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
		door.callers[i].conn.fd = -1;
	for (size_t i = 0; i < 5; i++)
		call(i, "10.0.0.1", 1000 + i);
	call(5, "10.0.0.3", 2000);
	call(6, "10.0.0.2", 1500);
	migrations_take(&migrations);
	assert_int_equal(door.callers[6].conn.fd, -1);
	assert_true(door.callers[0].conn.fd >= 0 && door.callers[5].conn.fd >= 0);
	assert_string_equal(migrations.all[0].host, "10.0.0.2");
	assert_int_equal(waitpid(migrations.all[0].pid, &status, 0), migrations.all[0].pid);
	for (size_t i = 0; i < 6; i++)
		close(door.callers[i].conn.fd);
	close(migrations.all[0].sock);
}

/* A process that came to COMMIT and lost its source, as migration_takeover() has it. */
static void lose(size_t nr)
{
	const struct parent_msg committed = { .ended = false };
	const struct parent_msg gone = { .ended = true, .detached = true, .code = CODE_DOUBT };
	struct migration_process *migration = &migrations.all[nr];
	int pair[2];

	assert_int_equal(fdpass_pair(pair), 0);
	place_begin(migration->place);
	place_advance(migration->place, PLACE_SETUP);
	migration->sock = pair[0];
	migration->pid = fork();
	if (!migration->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fdpass_send(pair[1], &committed, sizeof(committed), NULL, 0);
		places_detach(opts.places);
		atomic_store(&migration->place->reserved, 1UL << 40);
		place_advance(migration->place, PLACE_SETUP);
		fdpass_send(pair[1], &gone, sizeof(gone), NULL, 0);
		for (;;)
			pause();
	}
	assert_true(migration->pid > 0);
	close(pair[1]);
}

static size_t taken(void)
{
	size_t nr = 0;

	for (size_t i = 0; i < PLACES_MAX; i++)
		nr += migrations.all[i].pid != 0;
	return nr;
}

/* They go on for as long as their programs live: a program more can move here all the same. */
static void lost_ones_keep_no_place(void **state)
{
	struct pollfd fds[PLACES_MAX] = { 0 };
	pid_t pids[PLACES_MAX];

	(void)state;
	opts.places = places_new(0);
	migrations_init(&migrations, &opts, &door);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < PLACES_MAX; i++) {
			lose(i);
			pids[i] = migrations.all[i].pid;
		}
		do {
			migrations_hear(&migrations, fds);
			migrations_poll(&migrations, fds);
		} while (taken() && poll(fds, PLACES_MAX, PATIENCE_MS) > 0);
		assert_int_equal(taken(), 0);
		for (size_t i = 0; i < PLACES_MAX; i++) {
			assert_int_equal(atomic_load(&opts.places->place[i].stage), PLACE_FREE);
			assert_int_equal(atomic_load(&opts.places->place[i].reserved), 0);
			assert_int_equal(kill(pids[i], 0), 0);
			kill(pids[i], SIGKILL);
		}
	}
	assert_int_equal(migrations.code, CODE_DOUBT);
	while (!kill(pids[0], 0) || errno != ESRCH)
		migrations_reap(&migrations);
	while (waitpid(-1, NULL, WNOHANG) >= 0)
		migrations_reap(&migrations);
	assert_int_equal(errno, ECHILD);
}

/* As one that waits in the kernel: SIGKILL does not end it. (It is not there at all.) */
static void one_that_cannot_be_killed_keeps_no_place(void **state)
{
	struct migration_process *stuck = &migrations.all[0];
	pid_t pid;

	(void)state;
	opts.places = places_new(0);
	migrations_init(&migrations, &opts, &door);
	pid = fork();
	if (!pid)
		_exit(0);
	/* its end is not taken notice of: nobody reaps it */
	place_begin(stuck->place);
	stuck->pid = pid;
	stuck->kill_ms = 1;
	migrations_tick(&migrations);
	assert_int_equal(stuck->pid, pid);
	assert_true(stuck->killed_ms > 0);
	stuck->killed_ms -= LONG_MS;
	migrations_tick(&migrations);
	assert_int_equal(stuck->pid, 0);
	assert_int_equal(atomic_load(&stuck->place->stage), PLACE_FREE);
	while (waitpid(pid, NULL, WNOHANG) >= 0)
		migrations_reap(&migrations);
}

static void hold(size_t nr, const char *host)
{
	struct migration_process *migration = &migrations.all[nr];

	place_begin(migration->place);
	place_advance(migration->place, PLACE_SETUP);
	/* nobody has that one */
	migration->pid = INT_MAX;
	memset(migration->id, 0xff, sizeof(migration->id));
	strcpy(migration->host, host);
}

/* Sixteen of one address, each as busy as can be, leave sixteen for others. */
static void one_address_has_half_of_the_places(void **state)
{
	int status;

	(void)state;
	opts.places = places_new(0);
	opts.images_base = "none";
	migrations_init(&migrations, &opts, &door);
	for (size_t i = 0; i < DOOR_CALLERS; i++)
		door.callers[i].conn.fd = -1;
	for (size_t i = 0; i < PLACES_MAX / 2; i++)
		hold(i, "10.0.0.1");
	call(0, "10.0.0.1", 1000);
	call(1, "10.0.0.2", 2000);
	migrations_take(&migrations);
	assert_int_equal(door.strangers, 1);
	assert_string_equal(migrations.all[PLACES_MAX / 2].host, "10.0.0.2");
	assert_int_equal(waitpid(migrations.all[PLACES_MAX / 2].pid, &status, 0),
			 migrations.all[PLACES_MAX / 2].pid);
	assert_int_equal(migrations.all[PLACES_MAX / 2 + 1].pid, 0);
	close(migrations.all[PLACES_MAX / 2].sock);
	/* a UNIX socket has no address: all come from here */
	door.strangers = 0;
	for (size_t i = 0; i < PLACES_MAX - 1; i++)
		hold(i, "");
	call(0, "", 1000);
	migrations_take(&migrations);
	assert_int_equal(door.strangers, 0);
	assert_true(migrations.all[PLACES_MAX - 1].pid > 0);
	assert_int_equal(waitpid(migrations.all[PLACES_MAX - 1].pid, &status, 0),
			 migrations.all[PLACES_MAX - 1].pid);
	close(migrations.all[PLACES_MAX - 1].sock);
}

/* Each migration that is refused says why in the log, up to 32 lines. */
static void who_fills_the_log_waits_at_the_door(void **state)
{
	int64_t begin = clock_now_ms();
	siginfo_t info;

	(void)state;
	opts.places = places_new(0);
	opts.images_base = "none";
	migrations_init(&migrations, &opts, &door);
	for (size_t i = 0; i < DOOR_CALLERS; i++)
		door.callers[i].conn.fd = -1;
	log_quota_add(&migrations.log_quota, "10.0.0.1", LOG_QUOTA_LINES - 1, begin);
	call(0, "10.0.0.1", 1000);
	migrations_take(&migrations);
	assert_int_equal(door.callers[0].conn.fd, -1);
	assert_int_equal(waitid(P_PID, migrations.all[0].pid, &info, WEXITED | WNOWAIT), 0);
	migrations_reap(&migrations);
	assert_int_equal(migrations.all[0].pid, 0);
	/* its error and its result */
	migrations.log_quota.hosts[0].ms = clock_now_ms();
	assert_in_range(migrations.log_quota.hosts[0].lines, LOG_QUOTA_LINES, LOG_QUOTA_LINES + 2);
	call(0, "10.0.0.1", 1000);
	call(1, "10.0.0.2", 1000);
	migrations_take(&migrations);
	assert_true(door.callers[0].conn.fd >= 0);
	assert_int_equal(door.callers[1].conn.fd, -1);
	migrations.log_quota.hosts[0].ms -= 10 * LOG_QUOTA_MS;
	migrations_take(&migrations);
	assert_int_equal(door.callers[0].conn.fd, -1);
	while (waitpid(-1, NULL, 0) > 0)
		;
	close(migrations.all[0].sock);
	close(migrations.all[1].sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_one_gives_memory), cmocka_unit_test(the_next_is_ended_when_one_takes_long), cmocka_unit_test(who_calls_once_is_served),
		cmocka_unit_test(lost_ones_keep_no_place),
		cmocka_unit_test(one_that_cannot_be_killed_keeps_no_place),
		cmocka_unit_test(one_address_has_half_of_the_places),
		cmocka_unit_test(who_fills_the_log_waits_at_the_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
