// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/thread.h"
#include "dest/acceptor.h"
#include "dest/door.h"
#include "dest/from.h"
#include "dest/images.h"
#include "dest/migrations.h"
#include "dest/tell.h"
#include "os/fds.h"
#include "os/service.h"
#include "session/fs_driver.h"

#define TICK_MS		1000
#define DRIVER_MS	2000	/* for the files' driver, whose connection the source has closed */
#define GIVEN_LINK	(1 + GIVEN_MEM_MAX)

/** struct server - the accepting process */
struct server {
	struct serve_options opts;
	struct door door;
	struct tls_keys keys;
	struct migrations migrations;
	struct fs_driver driver;
	int signals;
	size_t nr_given;	/* connections that are given, or were made */
	bool stop;
};

static void on_signal(struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		migrations_reap(&server->migrations);
		return;
	}
	server->stop = true;
	server->migrations.code = CODE_ABORTED;
}

static bool take_reaped(void *ctx, pid_t pid, int status)
{
	struct server *server = ctx;

	return fs_driver_reaped(&server->driver, pid, status);
}

/* One of the caller's connections is no use, and there will be no other. */
static bool is_over(struct server *server)
{
	if ((!server->opts.from && !given_has_link(&server->opts.given)) || migrations_run(&server->migrations) ||
	    door_nr_callers(&server->door) == server->nr_given)
		return false;
	server->migrations.code = server->migrations.code ?: CODE_PEER;
	return true;
}

/* No function called in this loop waits for a caller or for a migration. */
static void serve(struct server *server)
{
	struct pollfd fds[1 + DOOR_CALLERS + 1 + PLACES_MAX];
	struct pollfd *signals = &fds[1 + DOOR_CALLERS], *socks = signals + 1;

	while (!server->stop && !server->migrations.done && !is_over(server)) {
		door_poll(&server->door, fds);
		*signals = (struct pollfd){ .fd = server->signals, .events = POLLIN };
		migrations_poll(&server->migrations, socks);
		if (poll(fds, sizeof(fds) / sizeof(*fds), TICK_MS) < 0)
			continue;
		migrations_hear(&server->migrations, socks);
		if (signals->revents)
			on_signal(server);
		migrations_tick(&server->migrations);
		door_step(&server->door, fds);
		migrations_take(&server->migrations);
	}
}

static int open_signals(struct server *server, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	server->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return server->signals < 0 ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot make a signalfd") : 0;
}

/** struct calling - the destination connects, and each step of that waits for the source; @done: it has ended */
struct calling {
	struct server *server;
	int done;
};

/* Nothing of a migration is here yet. */
static void *watch_signals(void *arg)
{
	struct calling *calling = arg;
	struct pollfd fds[] = {
		{ .fd = calling->done, .events = POLLIN }, { .fd = calling->server->signals, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	struct error err = { 0 };

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		/* of a process that made TLS */
		if (read(calling->server->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
			continue;
		error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)", strsignal(info.ssi_signo));
		tell_result(&err, NULL);
		exit(err.code);
	}
}

static int call(struct server *server, struct error *err)
{
	struct calling calling = { .server = server, .done = eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	int ret;

	if (calling.done < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	ret = thread_start(&thread, watch_signals, &calling, err);
	if (!ret) {
		ret = from_connect(&server->door, server->opts.from, &server->keys, err);
		eventfd_write(calling.done, 1);
		pthread_join(thread, NULL);
	}
	close(calling.done);
	return ret;
}

static int open_door(struct server *server, struct error *err)
{
	const struct serve_options *opts = &server->opts;
	struct conn link[GIVEN_LINK] = { { .fd = opts->given.rpc } };
	const char *where = opts->from ?: opts->listen ?: SERVE_LISTEN;
	int fd, given;

	if (given_has_link(&opts->given)) {
		for (size_t i = 0; i < opts->given.nr_mem; i++)
			link[1 + i].fd = opts->given.mem[i];
		if (given_find_keys(&opts->given, &server->keys, &opts->tls, err))
			return -1;
		door_give(&server->door, link, 1 + opts->given.nr_mem, &server->keys);
		return 0;
	}
	if (opts->given.insecure)
		return error_set(err, CODE_USAGE, "--insecure is the word for addresses",
				 "--insecure-fds goes with --fdrpc and --fdmem");
	given = opts->from ? 0 : service_socket(&fd, err);
	if (given < 0)
		return -1;
	if (given && opts->listen)
		return error_set(err, CODE_USAGE, "leave one of them out",
				 "a socket unit and --listen both say where to listen");
	if (given)
		return door_take(&server->door, fd, &server->keys, &opts->tls, err);
	if (tls_keys_find(&server->keys, &opts->tls, where, err))
		return -1;
	return opts->from ? call(server, err) :
	       door_open(&server->door, where, &server->keys, err);
}

/* It is read anew for each connection; a line that is wrong by then is refused when it counts. */
static int check_allow(const struct tls_options *opts, struct error *err)
{
	return opts->allow ? sender_rule_check_list(opts->allow, err) : 0;
}

/* The source has all answers that it waited for: what the driver has not done nobody needs. */
static void end_driver(struct fs_driver *driver)
{
	struct error err = { 0 };
	uint64_t bytes;

	if (driver->pid && fs_driver_wait(driver, DRIVER_MS, &bytes, &err) < 0)
		tell("warning", NULL, "%s", err.what);
	fs_driver_kill(driver);
}

/* The process of the migration was killed, or never began. */
static void say_outcome(struct server *server, int code)
{
	struct error err = { 0 };

	if (server->opts.given.msg < 0 || atomic_load(&server->opts.places->told))
		return;
	error_set(&err, code ?: CODE_INTERNAL, NULL, "no program has moved here");
	tell_result(&err, NULL);
}

int acceptor_run(const struct serve_options *opts)
{
	struct server *server = calloc(1, sizeof(*server));
	struct error err = { 0 };
	int code;

	if (!server)
		return CODE_INTERNAL;
	server->opts = *opts;
	report_share_output();
	/* each child that the program forks while its memory comes has a userfaultfd */
	fds_allow_many();
	server->opts.places = places_new(opts->max_bytes);
	if (!server->opts.places)
		return CODE_INTERNAL;
	tell_manager(opts->given.msg, opts->from || given_has_link(&opts->given), &server->opts.places->told);
	server->driver = (struct fs_driver){ .command = opts->fs_driver, .fd = opts->given.fs };
	if (given_check(&opts->given, &err) || fs_driver_check(&server->driver, &err) ||
	    (opts->listen && conn_check_where(opts->listen, true, &err)) ||
	    (opts->from && conn_check_where(opts->from, true, &err)) ||
	    images_check(server->opts.images_base, &err) ||
	    criu_config_read(&server->opts.config, server->opts.criu_config, CRIU_END_RESTORE, &err) ||
	    criu_version_get(&server->opts.criu, &err) || criu_check_restore(&err) ||
	    open_signals(server, &err) || service_check(&err) || check_allow(&opts->tls, &err) || open_door(server, &err) ||
	    (opts->fs_driver && fs_driver_start(&server->driver, &err))) {
		tell_result(&err, NULL);
		free(server);
		return err.code;
	}
	/* unlike a migration's process, the accepting process never waits for its reader */
	report_wait(false);
	migrations_init(&server->migrations, &server->opts, &server->door);
	server->migrations.reaped = take_reaped;
	server->migrations.reaped_ctx = server;
	server->nr_given = door_nr_callers(&server->door);
	service_say("READY=1");
	serve(server);
	service_say("STOPPING=1");
	door_close(&server->door);
	code = server->migrations.code;
	migrations_end(&server->migrations, server->signals);
	say_outcome(server, code);
	end_driver(&server->driver);
	free(server);
	return code;
}
