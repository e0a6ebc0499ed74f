// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "source/loss.h"
#include "source/options.h"
#include "base/error.h"

static const char *const mode_names[] = {
	[MODE_AUTO] = "auto", [MODE_PRECOPY] = "precopy", [MODE_POSTCOPY] = "postcopy",
};

const char *migrate_mode_name(enum migrate_mode mode)
{
	return mode_names[mode];
}

static void usage(FILE *to)
{
	fputs("Usage: migrate-helper migrate --pid PID --to WHERE [OPTION]...\n"
	      "Move a running program to the machine where \"migrate-helper serve\" runs.\n\n"
	      "  --pid PID            the program\n"
	      "  --to WHERE           where to: unix:PATH, or HOST[:PORT] (port 7070)\n"
	      "  --mode MODE          auto: send memory while it runs, the rest after it moved\n"
	      "                       precopy: send the rest while it stands\n"
	      "                       postcopy: send everything after it moved\n"
	      "  --backend NAME       how memory is read. module: by the kernel module;\n"
	      "                       vmread: copied without it, which is slower;\n"
	      "                       auto: module where it can be used, else vmread\n"
	      "  --max-downtime MS    stop it when it would stand for less (300;\n"
	      "                       1 to 3600000)\n"
	      "  --max-rounds N       stop it after so many rounds (8; 1 to 1000)\n"
	      "  --max-frozen S       give up when it stands for so long and has not moved (30;\n"
	      "                       1 to 86400)\n"
	      "  --link-timeout MS    while it stands, a link that is silent for so long is lost\n"
	      "                       and the program goes on here (400; 100 to 60000);\n"
	      "                       through a tunnel it is always 5000\n"
	      "  --verify             compare all memory on both sides before it goes on\n"
	      "  --accept-loss NAME   move it although this is lost; can be said several times.\n"
	      "                       An unknown NAME lists the known ones\n"
	      "  --shared-storage PATH  files there are the same on both machines; can be said\n"
	      "                       several times\n"
	      "  --reconnect PATH     connect unix sockets of the program anew to the server with\n"
	      "                       this path there, or @NAME; can be said several times.\n"
	      "                       The journal and /dev/log need not be named\n"
	      "  --replace-tty FILE   let the program write to FILE there instead of its terminal;\n"
	      "                       /dev/null for nowhere\n"
	      "  --insecure           take a HOST, loopback too: there is no encryption\n"
	      "  --images-dir DIR     for CRIU's images, an absolute path, on tmpfs\n"
	      "                       (/run/migrate-helper, or /dev/shm/migrate-helper)\n"
	      "  --criu-log-level N   0 to 4 (2)\n"
	      "  --json               one JSON object a line\n"
	      "  --result FILE        write the result there, as a JSON object\n"
	      "  --help\n", to);
}

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int wrong(const char *fmt, ...)
{
	va_list args;

	fputs("migrate-helper: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\n\n", stderr);
	usage(stderr);
	return CODE_USAGE;
}

/* Return: NULL, or what it should have been */
static const char *parse_number(const char *text, long min, long max, unsigned int *value)
{
	static char want[64];
	long number;
	char *end;

	errno = 0;
	number = strtol(text, &end, 10);
	*value = number;
	if (*text && !*end && !errno && number >= min && number <= max)
		return NULL;
	snprintf(want, sizeof(want), "a number from %ld to %ld", min, max);
	return want;
}

static const char *parse_mode(const char *text, enum migrate_mode *mode)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(*mode_names); i++)
		if (!strcmp(text, mode_names[i])) {
			*mode = i;
			return NULL;
		}
	return "auto, precopy or postcopy";
}

static const char *parse_loss(const char *text, uint64_t *accepted)
{
	static char want[1100];
	enum loss loss = loss_find(text);

	if (loss < LOSS_NR) {
		*accepted |= 1UL << loss;
		return NULL;
	}
	snprintf(want, sizeof(want), "one of %s", loss_names());
	return want;
}

static const char *parse_storage(char *path, struct migrate_options *opts)
{
	size_t len = strlen(path);

	if (*path != '/')
		return "an absolute path";
	if (opts->nr_shared_storage == SHARED_STORAGE_MAX)
		return "one of at most 32 paths";
	while (len && path[len - 1] == '/')
		path[--len] = 0;
	opts->shared_storage[opts->nr_shared_storage++] = path;
	return NULL;
}

static const char *parse_reconnect(const char *name, struct migrate_options *opts)
{
	if ((*name != '/' && *name != '@') || !name[1])
		return "an absolute path, or @NAME";
	if (opts->nr_reconnect == RECONNECT_MAX)
		return "one of at most 32 names";
	opts->reconnect[opts->nr_reconnect++] = name;
	return NULL;
}

/* Return: NULL, or what the value should have been */
static const char *take(int option, char *value, struct migrate_options *opts)
{
	const char *want;
	unsigned int pid;
	int kind;

	switch (option) {
	case 'p':
		want = parse_number(value, 1, INT_MAX, &pid);
		opts->pid = pid;
		return want;
	case 't':
		opts->to = value;
		return *value ? NULL : "unix:PATH, HOST or HOST:PORT";
	case 'm':
		return parse_mode(value, &opts->mode);
	case 'b':
		kind = backend_kind_find(value);
		opts->backend = kind;
		return kind < 0 ? "auto, module or vmread" : NULL;
	case 'w':
		return parse_number(value, 1, 3600000, &opts->max_downtime_ms);
	case 'r':
		return parse_number(value, 1, 1000, &opts->max_rounds);
	case 'f':
		return parse_number(value, 1, 86400, &opts->max_frozen_s);
	case 'k':
		return parse_number(value, 100, 60000, &opts->link_timeout_ms);
	case 'd':
		opts->images_base = value;
		return *value == '/' ? NULL : "an absolute path";
	case 'l':
		return parse_number(value, 0, 4, &opts->criu_log_level);
	case 'a':
		return parse_loss(value, &opts->accepted_losses);
	case 's':
		return parse_storage(value, opts);
	case 'c':
		return parse_reconnect(value, opts);
	case 'y':
		opts->replace_tty = value;
		return *value == '/' ? NULL : "an absolute path";
	case 'v':
		opts->verify = true;
		return NULL;
	case 'o':
		opts->result = value;
		return *value ? NULL : "a file";
	case 'i':
		opts->insecure = true;
		return NULL;
	default:
		opts->json = true;
		return NULL;
	}
}

int migrate_options_parse(int argc, char **argv, struct migrate_options *opts)
{
	static const struct option table[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "to", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "backend", required_argument, NULL, 'b' },
		{ "max-downtime", required_argument, NULL, 'w' },
		{ "max-rounds", required_argument, NULL, 'r' },
		{ "max-frozen", required_argument, NULL, 'f' },
		{ "link-timeout", required_argument, NULL, 'k' },
		{ "accept-loss", required_argument, NULL, 'a' },
		{ "shared-storage", required_argument, NULL, 's' },
		{ "reconnect", required_argument, NULL, 'c' },
		{ "replace-tty", required_argument, NULL, 'y' },
		{ "verify", no_argument, NULL, 'v' },
		{ "result", required_argument, NULL, 'o' },
		{ "insecure", no_argument, NULL, 'i' },
		{ "images-dir", required_argument, NULL, 'd' },
		{ "criu-log-level", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *want;
	int option, at;

	*opts = (struct migrate_options){
		.max_downtime_ms = 300, .max_rounds = 8, .link_timeout_ms = 400,
		.max_frozen_s = 30, .criu_log_level = 2,
	};
	optind = 1;
	while ((option = getopt_long(argc, argv, "h", table, &at)) >= 0) {
		if (option == 'h') {
			usage(stdout);
			return CODE_OK;
		}
		if (option == '?') {
			usage(stderr);
			return CODE_USAGE;
		}
		want = take(option, optarg, opts);
		if (want)
			return wrong("--%s is \"%s\", and should be %s", table[at].name, optarg,
				     want);
	}
	if (optind != argc)
		return wrong("\"%s\" is not expected", argv[optind]);
	if (!opts->pid || !opts->to)
		return wrong("%s is missing", opts->pid ? "--to" : "--pid");
	return -1;
}
