// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "cli/options.h"

#define OPTIONS_MAX	48

static const struct cli_option help = { .name = "help", .text = "this text" };

static size_t label_bytes(const struct cli_option *option)
{
	return strlen(option->name) + (option->value ? strlen(option->value) + 1 : 0);
}

static void print_option(FILE *to, const struct cli_option *option, int column)
{
	const char *line = option->text;
	int at = fprintf(to, "  --%s%s%s", option->name, option->value ? " " : "",
			 option->value ?: "");

	for (;;) {
		int bytes = strcspn(line, "\n");

		fprintf(to, "%*s%.*s\n", column - at, "", bytes, line);
		if (!line[bytes])
			return;
		line += bytes + 1;
		at = 0;
	}
}

static void usage(const struct cli_verb *verb, FILE *to)
{
	size_t widest = label_bytes(&help);

	for (const struct cli_option *o = verb->options; o->name && !o->argument; o++)
		if (label_bytes(o) > widest)
			widest = label_bytes(o);
	fprintf(to, "Usage: migrate-helper %s %s\n%s\n\n", verb->name, verb->synopsis, verb->about);
	for (const struct cli_option *o = verb->options; o->name && !o->argument; o++)
		print_option(to, o, widest + 6);
	print_option(to, &help, widest + 6);
}

int options_wrong(const struct cli_verb *verb, const char *fmt, ...)
{
	va_list args;

	fputs("migrate-helper: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\n\n", stderr);
	usage(verb, stderr);
	return CODE_USAGE;
}

/* Return: number of options; the last one is --help */
static int fill_table(const struct cli_verb *verb, struct option *table)
{
	int nr = 0;

	for (const struct cli_option *o = verb->options; o->name && !o->argument && nr < OPTIONS_MAX; o++, nr++)
		table[nr] = (struct option){
			o->name, o->value ? required_argument : no_argument, NULL, nr,
		};
	table[nr] = (struct option){ help.name, no_argument, NULL, nr };
	return nr;
}

static const char *take_word(const char **word, const char *text)
{
	*word = text;
	return *text ? NULL : "something";
}

int options_parse(const struct cli_verb *verb, int argc, char **argv, void *opts)
{
	struct option table[OPTIONS_MAX + 2] = { { 0 } };
	bool said[OPTIONS_MAX] = { false };
	int nr = fill_table(verb, table), got;

	optind = 1;
	while ((got = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
		const struct cli_option *option = verb->options + got;
		const char *want;

		if (got == nr || got == 'h') {
			usage(verb, stdout);
			return CODE_OK;
		}
		if (got > nr) {
			usage(verb, stderr);
			return CODE_USAGE;
		}
		if (!option->value) {
			*(bool *)((char *)opts + option->flag) = true;
			continue;
		}
		/* the last of two would win, and the program be moved that was named by mistake */
		if (said[got] && !option->many)
			return options_wrong(verb, "--%s is there twice", option->name);
		said[got] = true;
		want = option->take ? option->take(opts, optarg) :
		       take_word((const char **)((char *)opts + option->word), optarg);
		if (want)
			return options_wrong(verb, "--%s is \"%s\", and should be %s",
					     option->name, optarg, want);
	}
	if (optind < argc && verb->options[nr].argument)
		*(const char **)((char *)opts + verb->options[nr].word) = argv[optind++];
	return optind == argc ? -1 :
	       options_wrong(verb, "\"%s\" is not expected", argv[optind]);
}

const char *options_number(const char *text, unsigned long min, unsigned long max,
			   unsigned long *value)
{
	static char want[80];
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *value >= min && *value <= max)
		return NULL;
	snprintf(want, sizeof(want), "a number from %lu to %lu", min, max);
	return want;
}

const char *options_descriptor(const char *text, int *fd)
{
	unsigned long number;
	const char *want = options_number(text, 0, 65535, &number) ? "the number of a descriptor" : NULL;

	*fd = number;
	return want;
}

const char *options_fdmem(const char *text, struct given *given)
{
	if (given->nr_mem == GIVEN_MEM_MAX)
		return "one of 17 at most";
	return options_descriptor(text, &given->mem[given->nr_mem++]);
}

const char *options_path(const char *text, const char **value)
{
	*value = text;
	return *text == '/' ? NULL : "an absolute path";
}
