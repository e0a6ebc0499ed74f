// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dest/door.h"
#include "dest/fdpass.h"
#include "dest/images.h"
#include "dest/incoming.h"
#include "dest/serve.h"
#include "dest/tell.h"
#include "kernel/memfs.h"

#define DEFAULT_LISTEN	"unix:/run/migrate-helper/serve.sock"
#define MAX_MIGRATIONS	32
#define TICK_MS		1000

/**
 * struct migration - as the accepting process sees it
 * @pid: its process; 0: free
 * @sock: socket pair to it
 * @committed: the program may run here already
 * @ended: it has said its outcome, and may go on in the background
 */
struct migration {
	pid_t pid;
	int sock;
	uint8_t id[CONN_ID_BYTES];
	bool committed, ended;
};

/** struct server - the accepting process; @code: outcome of the last migration */
struct server {
	struct serve_options opts;
	struct door door;
	struct migration migrations[MAX_MIGRATIONS];
	int signals;
	bool stop;
	int code;
};

static void usage(FILE *to)
{
	fputs("Usage: migrate-helper serve [OPTION]...\n"
	      "Take in programs that migrate to this machine.\n\n"
	      "  --listen WHERE        unix:PATH, or HOST[:PORT] (port 7070); unless said it is\n"
	      "                        " DEFAULT_LISTEN "\n"
	      "  --insecure            take a HOST, without encryption\n"
	      "  --once                end after one migration, with its exit status\n"
	      "  --images-dir DIR      for CRIU's images, an absolute path, on tmpfs\n"
	      "                        (/run/migrate-helper, or /dev/shm when that is not)\n"
	      "  --json                one JSON object a line\n"
	      "  --help\n", to);
}

/* Return: -1 to go on, else an exit code */
static int parse(int argc, char **argv, struct serve_options *opts)
{
	static const struct option table[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "insecure", no_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "images-dir", required_argument, NULL, 'd' },
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

static struct migration *find(struct server *server, const uint8_t *id)
{
	for (size_t i = 0; i < MAX_MIGRATIONS; i++)
		if (server->migrations[i].pid &&
		    !memcmp(server->migrations[i].id, id, CONN_ID_BYTES))
			return &server->migrations[i];
	return NULL;
}

/* The new process keeps nothing but its own two descriptors. */
static void migration_main(struct server *server, const struct caller *caller, int sock)
{
	int control = caller->fd;
	int low = control < sock ? control : sock, high = control < sock ? sock : control;
	struct conn_preamble pre = caller->preamble;
	char peer[sizeof(caller->peer)];
	sigset_t none;

	memcpy(peer, caller->peer, sizeof(peer));
	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exit(incoming_run(control, sock, pre.id, peer, &server->opts));
}

static void start(struct server *server, struct caller *caller)
{
	struct migration *migration = NULL;
	int pair[2];

	for (size_t i = 0; i < MAX_MIGRATIONS && !migration; i++)
		if (!server->migrations[i].pid)
			migration = &server->migrations[i];
	if (!migration || find(server, caller->preamble.id) || fdpass_pair(pair)) {
		door_turn_away(&server->door, caller, migration ? "its migration runs already" :
			       "too many migrations at once");
		return;
	}
	fflush(NULL);
	migration->pid = fork();
	if (!migration->pid)
		migration_main(server, caller, pair[1]);
	close(pair[1]);
	if (migration->pid < 0) {
		migration->pid = 0;
		close(pair[0]);
		door_turn_away(&server->door, caller, "cannot fork");
		return;
	}
	close(caller->fd);
	caller->fd = -1;
	migration->sock = pair[0];
	migration->ended = false;
	migration->committed = false;
	memcpy(migration->id, caller->preamble.id, CONN_ID_BYTES);
}

/* A memory or urgent connection; one that is ahead of its control waits in the doorway. */
static void route(struct server *server, struct caller *caller)
{
	struct migration *migration = find(server, caller->preamble.id);
	struct serve_conn conn = { .kind = caller->preamble.kind };

	if (!migration)
		return;
	if (fdpass_send(migration->sock, &conn, sizeof(conn), &caller->fd, 1)) {
		door_turn_away(&server->door, caller, "its migration has ended");
		return;
	}
	close(caller->fd);
	caller->fd = -1;
}

static void ended(struct server *server, struct migration *migration, int code)
{
	if (migration->ended)
		return;
	migration->ended = true;
	server->code = code;
	if (server->opts.once)
		server->stop = true;
}

static void hear(struct server *server, struct migration *migration)
{
	int fds[FDPASS_MAX], ret;
	struct serve_msg msg;

	ret = fdpass_recv(migration->sock, &msg, sizeof(msg), fds, 0);
	if (ret == 1) {
		if (msg.ended)
			ended(server, migration, msg.code);
		migration->committed = true;
		return;
	}
	/* what remains to be known of it comes by SIGCHLD */
	close(migration->sock);
	migration->sock = -1;
}

static void reap(struct server *server)
{
	for (size_t i = 0; i < MAX_MIGRATIONS; i++) {
		struct migration *migration = &server->migrations[i];
		int status;

		if (!migration->pid || waitpid(migration->pid, &status, WNOHANG) != migration->pid)
			continue;
		while (migration->sock >= 0)
			hear(server, migration);
		if (WIFSIGNALED(status))
			tell("helper-killed", json_pack("{s:i}", "signal", WTERMSIG(status)),
			     "a migration's process was killed by %s",
			     strsignal(WTERMSIG(status)));
		ended(server, migration, WIFEXITED(status) ? WEXITSTATUS(status) :
		      migration->committed ? CODE_DOUBT : CODE_INTERNAL);
		if (migration->sock >= 0)
			close(migration->sock);
		migration->pid = 0;
		migration->sock = -1;
	}
}

static void on_signal(struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		reap(server);
		return;
	}
	server->stop = true;
	server->code = CODE_ABORTED;
	for (size_t i = 0; i < MAX_MIGRATIONS; i++)
		if (server->migrations[i].pid && !server->migrations[i].ended)
			kill(server->migrations[i].pid, SIGTERM);
}

static void callers(struct server *server)
{
	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		struct caller *caller = &server->door.callers[i];

		if (caller->fd < 0 || caller->got != sizeof(caller->preamble))
			continue;
		if (caller->preamble.kind == CONN_CONTROL)
			start(server, caller);
		else
			route(server, caller);
	}
}

static void serve(struct server *server)
{
	struct pollfd fds[1 + DOOR_CALLERS + 1 + MAX_MIGRATIONS];
	struct pollfd *signals = &fds[1 + DOOR_CALLERS], *socks = signals + 1;

	while (!server->stop) {
		door_poll(&server->door, fds);
		*signals = (struct pollfd){ .fd = server->signals, .events = POLLIN };
		for (size_t i = 0; i < MAX_MIGRATIONS; i++)
			socks[i] = (struct pollfd){
				.fd = server->migrations[i].pid ? server->migrations[i].sock : -1,
				.events = POLLIN,
			};
		if (poll(fds, sizeof(fds) / sizeof(*fds), TICK_MS) < 0)
			continue;
		for (size_t i = 0; i < MAX_MIGRATIONS; i++)
			if (socks[i].revents)
				hear(server, &server->migrations[i]);
		if (signals->revents)
			on_signal(server);
		door_step(&server->door, fds);
		callers(server);
	}
}

/* Those that were told to end clean up first; those after COMMIT go on without us. */
static void wait_for_the_rest(struct server *server)
{
	for (size_t i = 0; i < MAX_MIGRATIONS; i++) {
		struct migration *migration = &server->migrations[i];
		struct pollfd sock = { .fd = migration->sock, .events = POLLIN };

		if (!migration->pid || migration->ended)
			continue;
		if (migration->sock >= 0)
			poll(&sock, 1, -1);
		else
			waitpid(migration->pid, NULL, 0);
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
	code = parse(argc, argv, &server->opts);
	if (code >= 0) {
		free(server);
		return code;
	}
	report_init(server->opts.json);
	/* as many userfaultfds as the program forks children while its memory comes */
	setrlimit(RLIMIT_NOFILE, &many);
	for (size_t i = 0; i < MAX_MIGRATIONS; i++)
		server->migrations[i].sock = -1;
	if (conn_check_where(server->opts.listen, server->opts.insecure, &err) ||
	    images_check(server->opts.images_base, &err) ||
	    criu_version_get(&server->opts.criu, &err) || criu_check(&err) ||
	    open_signals(server, &err) ||
	    door_open(&server->door, server->opts.listen, &err)) {
		tell_result(&err, NULL);
		free(server);
		return err.code;
	}
	serve(server);
	door_close(&server->door);
	wait_for_the_rest(server);
	code = server->code;
	free(server);
	return code;
}
