// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "dest/door.h"
#include "dest/images.h"
#include "dest/migrations.h"
#include "dest/serve.h"
#include "dest/tell.h"
#include "os/memfs.h"

#define DEFAULT_LISTEN	"unix:/run/migrate-helper/serve.sock"
#define TICK_MS		1000
#define MAX_MIB		(1UL << 27)	/* all of user space */

/** struct server - the accepting process */
struct server {
	struct serve_options opts;
	struct door door;
	struct migrations migrations;
	uint64_t max_memory_mib;
	int signals;
	bool stop;
};

static void usage(FILE *to)
{
	fputs("Usage: migrate-helper serve [OPTION]...\n"
	      "Take in programs that migrate to this machine.\n\n"
	      "  --listen WHERE        unix:PATH, or HOST[:PORT] (port 7070); unless said it is\n"
	      "                        " DEFAULT_LISTEN "\n"
	      "  --insecure            take a HOST, loopback too: there is no encryption, and whoever\n"
	      "                        reaches the port can start programs as root\n"
	      "  --once                end after one migration that was accepted, with its exit\n"
	      "                        status\n"
	      "  --images-dir DIR      for CRIU's images, an absolute path, on tmpfs\n"
	      "                        (/run/migrate-helper, or /dev/shm/migrate-helper)\n"
	      "  --max-memory MIB      for all that moves here at a time (what is available)\n"
	      "  --json                one JSON object a line\n"
	      "  --help\n", to);
}

/* 0: it is none */
static uint64_t parse_mib(const char *text)
{
	char *end;
	unsigned long mib = strtoul(text, &end, 10);

	return *text < '0' || *text > '9' || *end || mib > MAX_MIB ? 0 : mib;
}

/* Return: -1 to go on, else an exit code */
static int parse(int argc, char **argv, struct serve_options *opts, uint64_t *max_memory_mib)
{
	static const struct option table[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "insecure", no_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "images-dir", required_argument, NULL, 'd' },
		{ "max-memory", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int c;

	opts->listen = DEFAULT_LISTEN;
	opts->images_base = memfs_base();
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
		switch (c) {
		case 'l':
			opts->listen = optarg;
			break;
		case 'i':
			opts->insecure = true;
			break;
		case 'o':
			opts->once = true;
			break;
		case 'd':
			opts->images_base = optarg;
			break;
		case 'm':
			*max_memory_mib = parse_mib(optarg);
			if (!*max_memory_mib) {
				fprintf(stderr, "migrate-helper: --max-memory is \"%s\", and should be a number of MiB from 1 on\n\n",
					optarg);
				usage(stderr);
				return CODE_USAGE;
			}
			break;
		case 'j':
			opts->json = true;
			break;
		case 'h':
			usage(stdout);
			return CODE_OK;
		default:
			usage(stderr);
			return CODE_USAGE;
		}
	}
	if (optind != argc)
		fprintf(stderr, "migrate-helper: \"%s\" is not expected\n\n", argv[optind]);
	else if (opts->images_base[0] != '/')
		fprintf(stderr, "migrate-helper: --images-dir is \"%s\", and should be an absolute path\n\n",
			opts->images_base);
	else
		return -1;
	usage(stderr);
	return CODE_USAGE;
}

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

/* Nothing in here waits for anybody. */
static void serve(struct server *server)
{
	struct pollfd fds[1 + DOOR_CALLERS + 1 + PLACES_MAX];
	struct pollfd *signals = &fds[1 + DOOR_CALLERS], *socks = signals + 1;

	while (!server->stop && !server->migrations.done) {
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

int serve_main(int argc, char **argv)
{
	struct rlimit many = { .rlim_cur = 65536, .rlim_max = 65536 };
	struct server *server = calloc(1, sizeof(*server));
	struct error err = { 0 };
	int code;

	if (!server)
		return CODE_INTERNAL;
	code = parse(argc, argv, &server->opts, &server->max_memory_mib);
	if (code >= 0) {
		free(server);
		return code;
	}
	report_init(server->opts.json);
	report_share_output();
	/* as many userfaultfds as the program forks children while its memory comes */
	setrlimit(RLIMIT_NOFILE, &many);
	server->opts.places = places_new(server->max_memory_mib << 20);
	if (!server->opts.places)
		return CODE_INTERNAL;
	if (conn_check_where(server->opts.listen, server->opts.insecure, &err) ||
	    images_check(server->opts.images_base, &err) ||
	    criu_version_get(&server->opts.criu, &err) || criu_check_restore(&err) ||
	    open_signals(server, &err) ||
	    door_open(&server->door, server->opts.listen, &err)) {
		tell_result(&err, NULL);
		free(server);
		return err.code;
	}
	/* each migration's process may wait a little for who reads its lines; this one serves others */
	report_wait(false);
	migrations_init(&server->migrations, &server->opts, &server->door);
	serve(server);
	door_close(&server->door);
	code = server->migrations.code;
	migrations_end(&server->migrations, server->signals);
	free(server);
	return code;
}
