/* SPDX-License-Identifier: GPL-2.0 */
/* The options that image-proxy and image-cache have in common. */
#ifndef MIGRATE_CLI_IMAGE_OPTIONS_H
#define MIGRATE_CLI_IMAGE_OPTIONS_H

#include "cli/options.h"
#include "services/image_options.h"

/* What cli_option.take of a row may be; ctx is a struct image_options */
const char *image_options_dir(void *ctx, char *value);
const char *image_options_remote(void *ctx, char *value);
const char *image_options_page_server(void *ctx, char *value);
const char *image_options_address(void *ctx, char *value);
const char *image_options_link_fd(void *ctx, char *value);
const char *image_options_timeout(void *ctx, char *value);
const char *image_options_memory(void *ctx, char *value);

/** typedef image_run - what a verb does with its options. Return: the exit code */
typedef int (*image_run)(const struct image_options *opts);

/**
 * image_options_main() - parse the command line, check it, and run the verb
 * @address: name of the option that has the address
 */
int image_options_main(const struct cli_verb *verb, const char *address, image_run run, int argc,
		       char **argv);

#endif
