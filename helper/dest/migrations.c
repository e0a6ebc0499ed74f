// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/migration.h"
#include "dest/migrations.h"
#include "dest/parent.h"
#include "dest/tell.h"
#include "os/fds.h"

#define PER_HOST_NEW	8	/* migrations of one address before Setup */
#define PER_HOST	(PLACES_MAX / 2)	/* migrations of one address */
#define NEW_IDLE_MS	5000	/* until Setup, when places are short */
#define SETUP_IDLE_MS	60000	/* without progress after Setup, likewise */
#define END_MS		15000	/* between SIGTERM and SIGKILL */
#define SOON_MS		2000	/* a place becomes free in this time after SIGTERM, or the next is ended */
#define KILLED_MS	5000	/* from SIGKILL until the place is free */
#define STARTS_MAX	32	/* starts at once, and */
#define START_MS	250	/* one more in each such time */
#define TICK_MS		200

void migrations_init(struct migrations *migrations, struct serve_options *opts,
		     struct door *door)
{
	*migrations = (struct migrations){
		.opts = opts, .door = door, .starts = STARTS_MAX, .started_ms = clock_now_ms(),
	};
	for (size_t i = 0; i < PLACES_MAX; i++) {
		migrations->all[i].sock = -1;
		migrations->all[i].place = &opts->places->place[i];
	}
}

static struct migration_process *find(struct migrations *migrations, const uint8_t *id)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (migrations->all[i].pid && !memcmp(migrations->all[i].id, id, CONN_ID_BYTES))
			return &migrations->all[i];
	return NULL;
}

static struct migration_process *find_free(struct migrations *migrations)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (!migrations->all[i].pid)
			return &migrations->all[i];
	return NULL;
}

static void tell_to_end(struct migration_process *migration)
{
	if (migration->kill_ms)
		return;
	migration->kill_ms = clock_now_ms() + END_MS;
	kill(migration->pid, SIGTERM);
}

static bool is_new(const struct migration_process *migration)
{
	return migration->pid && atomic_load(&migration->place->stage) == PLACE_ACCEPT;
}

/*
 * Places or memory are short: end the migration that has gone longest without progress.
 * @host: end only a migration from this address; NULL: from any
 * @memory: end only a migration that has reserved memory
 * Return: true when a place (or memory) becomes free soon
 */
static bool evict(struct migrations *migrations, const char *host, bool memory)
{
	struct migration_process *longest = NULL;
	int64_t now = clock_now_ms(), idle, most = -1;

	for (size_t i = 0; i < PLACES_MAX; i++) {
		struct migration_process *migration = &migrations->all[i];

		if (!migration->pid || (host && strcmp(migration->host, host)))
			continue;
		if (migration->kill_ms && !migration->committed) {
			if (now < migration->kill_ms - END_MS + SOON_MS)
				return true;
			continue;
		}
		if (memory && !atomic_load(&migration->place->reserved))
			continue;
		idle = now - atomic_load(&migration->place->progress_ms) -
		       (is_new(migration) ? NEW_IDLE_MS : SETUP_IDLE_MS);
		if (!migration->committed && !migration->ended && idle > most) {
			most = idle;
			longest = migration;
		}
	}
	if (!longest)
		return false;
	atomic_store(&longest->place->evicted, true);
	tell_to_end(longest);
	return true;
}

static size_t count_of_host(const struct migrations *migrations, const char *host, bool new)
{
	size_t nr = 0;

	/* callers by a UNIX socket have no host, and no limit: they are root on this machine */
	for (size_t i = 0; i < PLACES_MAX && *host; i++)
		nr += migrations->all[i].pid && !strcmp(migrations->all[i].host, host) &&
		      (!new || is_new(&migrations->all[i]));
	return nr;
}

/* Limits the rate of starts, since each costs a fork and some lines of the log. */
static bool may_start(struct migrations *migrations)
{
	int64_t now = clock_now_ms();

	while (migrations->starts < STARTS_MAX && now - migrations->started_ms >= START_MS) {
		migrations->starts++;
		migrations->started_ms += START_MS;
	}
	if (migrations->starts == STARTS_MAX)
		migrations->started_ms = now;
	if (!migrations->starts)
		return false;
	migrations->starts--;
	return true;
}

/* The new process keeps the caller's descriptors and its socket to the acceptor, and no other. */
static void migration_main(struct serve_options *opts, const struct caller *caller, int sock,
			   struct place *place)
{
	struct conn_preamble pre = caller->preamble;
	int keep[] = { caller->conn.fd, sock, opts->given.msg, caller->conn.tcp ?: -1, caller->conn.note ?: -1 };
	struct conn conn = caller->conn;
	struct error err = { 0 };
	sigset_t none;

	fds_close_others(keep, sizeof(keep) / sizeof(*keep));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	opts->place = place;
	opts->peer = caller->peer;
	tell_count(place);
	report_wait(true);
	conn.kind = CONN_CONTROL;
	if (sender_rule_parse(&opts->rule, caller->name, caller->words, &err))
		exit(migration_refuse(&conn, &err));
	exit(migration_run(&conn, sock, pre.id, opts));
}

/* The line is worth a start of a migration, which are limited. */
static void say_who(const struct caller *caller)
{
	if (*caller->name)
		tell("proved", json_pack("{s:o,s:o,s:o,s:b}", "peer", report_text(caller->peer), "name",
					 report_text(caller->name), "limit", report_text(caller->words), "kernel",
					 caller->conn.in_kernel),
		     "%s has proved to be \"%s\"%s%s", caller->peer, caller->name, *caller->words ? ", limited to " : "",
		     caller->words);
}

static void fork_one(struct migrations *migrations, struct migration_process *migration,
		     struct caller *caller)
{
	int pair[2];

	if (fdpass_pair(pair)) {
		door_turn_away(migrations->door, caller, "there is no descriptor left");
		return;
	}
	place_begin(migration->place);
	fflush(NULL);
	migration->pid = fork();
	if (!migration->pid)
		migration_main(migrations->opts, caller, pair[1], migration->place);
	close(pair[1]);
	if (migration->pid < 0) {
		migration->pid = 0;
		place_end(migration->place);
		close(pair[0]);
		door_turn_away(migrations->door, caller, "cannot fork");
		return;
	}
	conn_drop(&caller->conn);
	migration->sock = pair[0];
	migration->ended = migration->committed = false;
	migration->kill_ms = migration->killed_ms = 0;
	migration->taken = 0;
	memcpy(migration->id, caller->preamble.id, CONN_ID_BYTES);
	memcpy(migration->host, caller->host, sizeof(migration->host));
	memcpy(migration->name, caller->name, sizeof(migration->name));
	say_who(caller);
}

static void start(struct migrations *migrations, struct caller *caller)
{
	struct migration_process *migration = find_free(migrations);
	bool host_is_full = count_of_host(migrations, caller->host, false) >= PER_HOST;

	if (find(migrations, caller->preamble.id)) {
		door_turn_away(migrations->door, caller, "its migration runs already");
	} else if (count_of_host(migrations, caller->host, true) >= PER_HOST_NEW) {
		door_turn_away(migrations->door, caller, "too many that have not begun come from there");
	} else if (host_is_full || !migration) {
		/* the caller waits at the door for the place of an idle migration */
		if (!evict(migrations, host_is_full ? caller->host : NULL, false))
			door_turn_away(migrations->door, caller, host_is_full ?
				       "half of all places are taken by migrations from there" :
				       "too many migrations at once");
	} else if (log_quota_allows(&migrations->log_quota, caller->host, clock_now_ms()) && may_start(migrations)) {
		fork_one(migrations, migration, caller);
	}
}

/* A memory or urgent connection. One that comes before its control connection waits at the door. */
static void route(struct migrations *migrations, struct caller *caller)
{
	struct migration_process *migration = find(migrations, caller->preamble.id);
	const struct conn_preamble *pre = &caller->preamble;
	unsigned int bit = 1u << (pre->kind == CONN_MEMORY ? pre->index : STREAMS_MAX);

	if (!migration)
		return;
	if (strcmp(migration->name, caller->name)) {
		door_turn_away(migrations->door, caller, "its migration is another one's");
		return;
	}
	/* with one connection of each number the socket always has room for the message */
	if (migration->taken & bit) {
		door_turn_away(migrations->door, caller, "its migration has this connection already");
		return;
	}
	caller->conn.kind = pre->kind;
	caller->conn.index = pre->index;
	caller->conn.streams = pre->streams;
	if (migration->sock < 0 || parent_pass_conn(migration->sock, &caller->conn)) {
		door_turn_away(migrations->door, caller, "its migration has ended");
		return;
	}
	migration->taken |= bit;
	conn_drop(&caller->conn);
}

/** struct waiting - a caller that wants to start; @nr: callers of the same address at the door */
struct waiting {
	struct caller *caller;
	size_t nr;
};

static int order(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	return x->caller->deadline_ms < y->caller->deadline_ms ? -1 :
	       x->caller->deadline_ms > y->caller->deadline_ms;
}

void migrations_take(struct migrations *migrations)
{
	struct waiting waiting[DOOR_CALLERS];
	size_t nr = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		struct caller *caller = &migrations->door->callers[i];

		if (!conn_is_open(&caller->conn) || caller->got != sizeof(caller->preamble))
			continue;
		if (caller->preamble.kind != CONN_CONTROL)
			route(migrations, caller);
		else
			waiting[nr++] = (struct waiting){
				caller, door_callers_of(migrations->door, caller->host),
			};
	}
	/* starts are limited: a caller from an address with few callers goes first */
	qsort(waiting, nr, sizeof(*waiting), order);
	for (size_t i = 0; i < nr; i++)
		start(migrations, waiting[i].caller);
}

static void ended(struct migrations *migrations, struct migration_process *migration, int code)
{
	if (migration->ended)
		return;
	migration->ended = true;
	/* --once waits for a migration whose Setup was accepted */
	if (atomic_load(&migration->place->stage) < PLACE_SETUP)
		return;
	migrations->code = code;
	migrations->done = migrations->opts->once;
}

/* Free the place of a migration. */
static void vacate(struct migrations *migrations, struct migration_process *migration)
{
	/* one whose Setup was accepted costs its source more than lines */
	if (is_new(migration))
		log_quota_add(&migrations->log_quota, migration->host, atomic_load(&migration->place->lines),
			   clock_now_ms());
	if (migration->sock >= 0)
		close(migration->sock);
	migration->sock = -1;
	migration->pid = 0;
	place_end(migration->place);
}

static void hear(struct migrations *migrations, struct migration_process *migration)
{
	int fds[FDPASS_MAX], ret;
	struct parent_msg msg;

	ret = fdpass_recv(migration->sock, &msg, sizeof(msg), fds, 0);
	if (ret == 1) {
		if (msg.ended)
			ended(migrations, migration, msg.code);
		migration->committed = true;
		/* migrations_reap() still waits for the process */
		if (msg.detached)
			vacate(migrations, migration);
		return;
	}
	/* the process has closed its end: SIGCHLD gives its exit status */
	close(migration->sock);
	migration->sock = -1;
}

void migrations_poll(const struct migrations *migrations, struct pollfd *fds)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		fds[i] = (struct pollfd){
			.fd = migrations->all[i].pid ? migrations->all[i].sock : -1,
			.events = POLLIN,
		};
}

void migrations_hear(struct migrations *migrations, const struct pollfd *fds)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (fds[i].revents && fds[i].fd == migrations->all[i].sock)
			hear(migrations, &migrations->all[i]);
}

static struct migration_process *find_pid(struct migrations *migrations, pid_t pid)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (migrations->all[i].pid == pid)
			return &migrations->all[i];
	return NULL;
}

static void reap_one(struct migrations *migrations, pid_t pid, int status)
{
	struct migration_process *migration = find_pid(migrations, pid);

	while (migration && migration->pid && migration->sock >= 0)
		hear(migrations, migration);
	if (WIFSIGNALED(status))
		tell("helper-killed", json_pack("{s:i,s:i}", "signal", WTERMSIG(status), "pid", pid),
		     "a migration's process (%d) was killed by %s", pid,
		     strsignal(WTERMSIG(status)));
	/* a detached process has no place any more */
	if (!migration || !migration->pid)
		return;
	ended(migrations, migration, WIFEXITED(status) ? WEXITSTATUS(status) :
	      migration->committed ? CODE_DOUBT : CODE_INTERNAL);
	vacate(migrations, migration);
}

void migrations_reap(struct migrations *migrations)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!migrations->reaped || !migrations->reaped(migrations->reaped_ctx, pid, status))
			reap_one(migrations, pid, status);
}

/*
 * A process that waits in the kernel for a dead file system outlives SIGKILL. The process never
 * returns to user space, so its place can be given away.
 */
static void give_up(struct migrations *migrations, struct migration_process *migration)
{
	tell("helper-stuck", json_pack("{s:i}", "pid", migration->pid),
	     "a migration's process (%d) was killed and does not end: it waits in the kernel; its place is given to others",
	     migration->pid);
	ended(migrations, migration, CODE_INTERNAL);
	vacate(migrations, migration);
}

static void press(struct migrations *migrations, struct migration_process *migration, int64_t now)
{
	if (!migration->pid || !migration->kill_ms || now < migration->kill_ms ||
	    migration->committed)
		return;
	/* the keeper cleans up after the process */
	kill(migration->pid, SIGKILL);
	if (!migration->killed_ms)
		migration->killed_ms = now;
	else if (now - migration->killed_ms >= KILLED_MS)
		give_up(migrations, migration);
}

void migrations_tick(struct migrations *migrations)
{
	int64_t now = clock_now_ms();

	if (atomic_exchange(&migrations->opts->places->memory_short, false))
		evict(migrations, NULL, true);
	for (size_t i = 0; i < PLACES_MAX; i++)
		press(migrations, &migrations->all[i], now);
}

bool migrations_run(const struct migrations *migrations)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (migrations->all[i].pid)
			return true;
	return false;
}

static bool some_are_ending(const struct migrations *migrations)
{
	for (size_t i = 0; i < PLACES_MAX; i++) {
		const struct migration_process *migration = &migrations->all[i];

		if (migration->pid && !migration->committed && !migration->ended)
			return true;
	}
	return false;
}

static void hurry(struct migrations *migrations)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		migrations->all[i].kill_ms = 1;
}

void migrations_end(struct migrations *migrations, int signals)
{
	struct pollfd fds[1 + PLACES_MAX];
	struct signalfd_siginfo info;

	for (size_t i = 0; i < PLACES_MAX; i++)
		if (migrations->all[i].pid && !migrations->all[i].committed &&
		    !migrations->all[i].ended)
			tell_to_end(&migrations->all[i]);
	while (some_are_ending(migrations)) {
		fds[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
		migrations_poll(migrations, fds + 1);
		if (poll(fds, 1 + PLACES_MAX, TICK_MS) < 0)
			continue;
		migrations_hear(migrations, fds + 1);
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGCHLD)
			hurry(migrations);
		migrations_reap(migrations);
		migrations_tick(migrations);
	}
}
