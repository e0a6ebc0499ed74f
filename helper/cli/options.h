/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of a verb, in one table from which both getopt_long() and --help work.
 */
#ifndef MIGRATE_CLI_OPTIONS_H
#define MIGRATE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "wire/given.h"

/**
 * struct cli_option - one option; a table of options ends with a NULL @name
 * @name: without the two dashes
 * @value: name of the value in --help; NULL: the option has no value
 * @text: description for --help, of one or more lines
 * @flag: for an option without value: offset of a bool in the verb's struct
 * @word: for an option with value: offset of a const char * in the verb's struct, for any text but an empty one
 * @many: an option with value that can be said several times
 * @argument: no option, but the one word without dashes, which goes to @word. The last one of the table
 * @take: for an option with value: store the value in the verb's struct. Return: NULL, or a text
 *	that says which values are allowed
 */
struct cli_option {
	const char *name, *value, *text;
	size_t flag, word;
	bool many, argument;
	const char *(*take)(void *opts, char *value);
};

/** struct cli_verb - @synopsis: arguments in the first line of --help; @about: its second line */
struct cli_verb {
	const char *name, *synopsis, *about;
	const struct cli_option *options;
};

/**
 * options_parse() - parse a command line into @opts
 * Return: -1 to go on; else the exit code, after --help or an error message
 */
int options_parse(const struct cli_verb *verb, int argc, char **argv, void *opts);

/** options_wrong() - print the error in the command line, and the usage. Return: CODE_USAGE */
int options_wrong(const struct cli_verb *verb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** options_number() - parse a decimal number. Return: as cli_option.take */
const char *options_number(const char *text, unsigned long min, unsigned long max,
			   unsigned long *value);

/** options_descriptor() - parse the number of a descriptor. Return: as cli_option.take */
const char *options_descriptor(const char *text, int *fd);

/** options_fdmem() - one more of --fdmem. Return: as cli_option.take */
const char *options_fdmem(const char *text, struct given *given);

/** options_path() - take an absolute path. Return: as cli_option.take */
const char *options_path(const char *text, const char **value);

#endif
