// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "source/options.h"
#include "ui/error.h"

static const char *const mode_names[] = {
	[MODE_AUTO] = "auto", [MODE_PRECOPY] = "precopy", [MODE_POSTCOPY] = "postcopy",
};

const char *migrate_mode_name(enum migrate_mode mode)
{
	return mode_names[mode];
}

static void usage(FILE *to)
{
	fputs("Usage: migrate-helper migrate --pid PID --to HOST[:PORT] [OPTION]...\n"
	      "Move a running program to the machine where \"migrate-helper serve\" runs.\n\n"
	      "  --pid PID            the program\n"
	      "  --to HOST[:PORT]     where to (port 7070)\n"
	      "  --mode MODE          auto: send memory while it runs, the rest after it moved\n"
	      "                       precopy: send the rest while it stands\n"
	      "                       postcopy: send everything after it moved\n"
	      "  --max-downtime MS    stop it when it would stand for less (300)\n"
	      "  --max-rounds N       stop it after so many rounds (8)\n"
	      "  --link-timeout MS    while it stands, a link that is silent for so long is lost\n"
	      "                       and the program goes on here (400)\n"
	      "  --verify             compare all memory on both sides before it goes on\n"
	      "  --insecure           go beyond loopback, without encryption\n"
	      "  --images-dir DIR     for CRIU's images, on tmpfs (/run/migrate-helper)\n"
	      "  --criu-log-level N   0 to 4 (2)\n"
	      "  --json               one JSON object a line\n"
	      "  --result FILE        write the result there, as a JSON object\n"
	      "  --help\n", to);
}

static int bad(const char *option, const char *value)
{
	fprintf(stderr, "migrate-helper: --%s: \"%s\" is not allowed\n\n", option, value);
	usage(stderr);
	return CODE_USAGE;
}

static int parse_number(const char *text, long min, long max, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return !*text || *end || errno || *value < min || *value > max ? -1 : 0;
}

static int parse_mode(const char *text, enum migrate_mode *mode)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(*mode_names); i++)
		if (!strcmp(text, mode_names[i])) {
			*mode = i;
			return 0;
		}
	return -1;
}

/* Return: -1 when the value is wrong */
static int take(int option, const char *value, struct migrate_options *opts)
{
	long number = 0;

	switch (option) {
	case 'p':
		if (parse_number(value, 1, INT_MAX, &number))
			return -1;
		opts->pid = number;
		return 0;
	case 't':
		opts->to = value;
		return *value ? 0 : -1;
	case 'm':
		return parse_mode(value, &opts->mode);
	case 'w':
		if (parse_number(value, 1, 3600000, &number))
			return -1;
		opts->max_downtime_ms = number;
		return 0;
	case 'r':
		if (parse_number(value, 1, 1000, &number))
			return -1;
		opts->max_rounds = number;
		return 0;
	case 'k':
		if (parse_number(value, 100, 60000, &number))
			return -1;
		opts->link_timeout_ms = number;
		return 0;
	case 'd':
		opts->images_base = value;
		return *value == '/' ? 0 : -1;
	case 'l':
		if (parse_number(value, 0, 4, &number))
			return -1;
		opts->criu_log_level = number;
		return 0;
	case 'v':
		opts->verify = true;
		return 0;
	case 'o':
		opts->result = value;
		return *value ? 0 : -1;
	case 'i':
		opts->insecure = true;
		return 0;
	default:
		opts->json = true;
		return 0;
	}
}

int migrate_options_parse(int argc, char **argv, struct migrate_options *opts)
{
	static const struct option table[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "to", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "max-downtime", required_argument, NULL, 'w' },
		{ "max-rounds", required_argument, NULL, 'r' },
		{ "link-timeout", required_argument, NULL, 'k' },
		{ "verify", no_argument, NULL, 'v' },
		{ "result", required_argument, NULL, 'o' },
		{ "insecure", no_argument, NULL, 'i' },
		{ "images-dir", required_argument, NULL, 'd' },
		{ "criu-log-level", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option, at;

	*opts = (struct migrate_options){
		.max_downtime_ms = 300, .max_rounds = 8, .link_timeout_ms = 400,
		.criu_log_level = 2,
	};
	optind = 1;
	while ((option = getopt_long(argc, argv, "", table, &at)) >= 0) {
		if (option == 'h') {
			usage(stdout);
			return CODE_OK;
		}
		if (option == '?') {
			usage(stderr);
			return CODE_USAGE;
		}
		if (take(option, optarg, opts))
			return bad(table[at].name, optarg);
	}
	if (optind == argc && opts->pid && opts->to)
		return -1;
	usage(stderr);
	return CODE_USAGE;
}
