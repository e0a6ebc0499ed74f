// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/image_options.h"
#include "os/proc.h"
#include "wire/conn.h"

#define MIB		(1UL << 20)
#define MEMORY_PART	2	/* default of --max-memory: this part of what is available */

const char *image_options_dir(void *ctx, char *value)
{
	struct image_options *opts = ctx;

	if (!*value || opts->nr_dirs == IMAGE_DOORS_MAX)
		return "a directory, at most 64 times";
	opts->dirs[opts->nr_dirs++] = value;
	return NULL;
}

const char *image_options_remote(void *ctx, char *value)
{
	((struct image_options *)ctx)->remote_socket = value;
	return *value ? NULL : "the path of a socket, or ID=PATH";
}

const char *image_options_page_server(void *ctx, char *value)
{
	((struct image_options *)ctx)->page_server = value;
	return *value ? NULL : "an address: HOST:PORT";
}

const char *image_options_address(void *ctx, char *value)
{
	((struct image_options *)ctx)->address = value;
	return *value ? NULL : "an address: unix:PATH, or HOST:PORT";
}

const char *image_options_link_fd(void *ctx, char *value)
{
	unsigned long number = 0;
	const char *want = options_number(value, 0, INT_MAX, &number);

	((struct image_options *)ctx)->link_fd = number;
	return want;
}

const char *image_options_timeout(void *ctx, char *value)
{
	return options_number(value, 1, UINT_MAX, &((struct image_options *)ctx)->timeout_s);
}

const char *image_options_memory(void *ctx, char *value)
{
	return options_number(value, 1, 1UL << 30, &((struct image_options *)ctx)->max_mib);
}

int image_options_main(const struct cli_verb *verb, const char *address, image_run run, int argc,
		       char **argv)
{
	struct image_options opts = { .link_fd = -1 };
	struct error err = { 0 };
	int code = options_parse(verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.nr_dirs && !opts.remote_socket)
		return options_wrong(verb, "--images-dir is missing");
	if (opts.page_server && opts.nr_dirs != 1)
		return options_wrong(verb, "--page-server goes with one --images-dir");
	if (!opts.address == (opts.link_fd < 0))
		return options_wrong(verb, "say either --%s or --link-fd", address);
	report_init(opts.json);
	if (!opts.max_mib)
		opts.max_mib = proc_mem_available() / MEMORY_PART / MIB + 1;
	if (!opts.address || !conn_check_where(opts.address, opts.insecure, &err))
		return run(&opts);
	report_error(&err);
	return err.code;
}
