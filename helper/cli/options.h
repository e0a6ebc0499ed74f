/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of a verb, in one table: getopt_long() and --help go by the same rows.
 */
#ifndef MIGRATE_CLI_OPTIONS_H
#define MIGRATE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct cli_option - one option; a table of them ends with a NULL @name
 * @name: without the two dashes
 * @value: how --help calls its value; NULL: the option has none
 * @text: for --help; it may have several lines
 * @flag: where the option has no value: offset of the bool in the struct of the verb
 * @take: where it has one: put it into the struct of the verb. Return: NULL, or the words for what
 *	the value should have been
 */
struct cli_option {
	const char *name, *value, *text;
	size_t flag;
	const char *(*take)(void *opts, char *value);
};

/** struct cli_verb - @synopsis: what follows the name in the first line of --help; @about: the next */
struct cli_verb {
	const char *name, *synopsis, *about;
	const struct cli_option *options;
};

/**
 * options_parse() - put a command line into @opts
 * Return: -1 to go on, else the exit code: all has been said
 */
int options_parse(const struct cli_verb *verb, int argc, char **argv, void *opts);

/** options_wrong() - say why the command line is wrong, and the usage. Return: CODE_USAGE */
int options_wrong(const struct cli_verb *verb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** options_number() - a decimal number. Return: as cli_option.take */
const char *options_number(const char *text, unsigned long min, unsigned long max,
			   unsigned long *value);

/** options_path() - an absolute path. Return: as cli_option.take */
const char *options_path(const char *text, const char **value);

#endif
