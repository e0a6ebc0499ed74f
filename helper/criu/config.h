/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options of CRIU's own that a user hands on, of the files that --criu-config of migrate and of serve name: those
 * that are known, and with which the hand-over stays what it is. All others are refused by name.
 *
 * A path at the destination, and what a program gets from outside of it, is in the file of the destination alone:
 * the source asks by a name, as "external mnt[NAME]".
 */
#ifndef MIGRATE_CRIU_CONFIG_H
#define MIGRATE_CRIU_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define CRIU_OPTIONS_MAX	64
#define CRIU_OPTION_BYTES	256

#define CRIU_GHOST_BYTES_MAX	(1UL << 30)	/* of a deleted file that is open or mapped, unless the user says more */

/** enum criu_end - which CRIU gets an option, and whose file has it; bits */
enum criu_end { CRIU_END_DUMP = 1, CRIU_END_RESTORE = 2 };

struct criu_option_kind;

/** struct criu_option - @text: as CRIU reads it from a configuration file, "ghost-limit 1M" */
struct criu_option {
	const struct criu_option_kind *kind;
	char text[CRIU_OPTION_BYTES];
};

/** struct criu_config - zeroed is empty */
struct criu_config {
	struct criu_option options[CRIU_OPTIONS_MAX];
	size_t nr;
};

/**
 * criu_config_read() - read and check a whole file
 * @file: the file's name; NULL: there is none
 * @at: the end whose file it is
 */
int criu_config_read(struct criu_config *config, const char *file, enum criu_end at,
		     struct error *err);

/** criu_config_add() - check one line, and add its option; an empty one and a comment have none */
int criu_config_add(struct criu_config *config, const char *line, enum criu_end at,
		    struct error *err);

/**
 * criu_config_ask() - what the source asks of the destination's CRIU for an option
 * @asked: filled, as for criu_config_grant()
 * Return: false: nothing
 */
bool criu_config_ask(const struct criu_option *option, char asked[CRIU_OPTION_BYTES]);

/**
 * criu_config_grant() - add what a source asks for to @granted
 * @here: of the file of this destination
 * @asked: comes over the wire
 * Return: 0, or -1 with @err: this destination does not do that
 */
int criu_config_grant(const struct criu_config *here, const char *asked,
		      struct criu_config *granted, struct error *err);

/** criu_config_ghost_bytes() - the size of the largest deleted file that CRIU carries; @config: or NULL */
uint64_t criu_config_ghost_bytes(const struct criu_config *config);

/** criu_config_text() - the options of one end but for external, a line each. Return: to be freed; NULL: no memory */
char *criu_config_text(const struct criu_config *config, enum criu_end end);
/**
 * criu_config_externals() - the values of the option external of one end, and behind them @others
 * @nr: of @others; set to the number of all
 *
 * CRIU reads a file twice, and adds what it names both times: it cannot put one interface into a bridge again.
 * Return: to be freed, and of no use without @config and @others; NULL: no memory
 */
char **criu_config_externals(const struct criu_config *config, enum criu_end end, char *const *others,
			     size_t *nr);

#endif
