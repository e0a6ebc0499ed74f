// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/image_cache.h"
#include "cli/options.h"
#include "os/proc.h"
#include "services/image_cache.h"
#include "wire/conn.h"

#define MIB		(1UL << 20)
#define MEMORY_PART	2	/* default of --max-memory: this part of what is available */

static const char *take_images_dir(void *ctx, char *value)
{
	struct image_cache_options *opts = ctx;

	if (!*value || opts->nr_dirs == IMAGE_DOORS_MAX)
		return "a directory, at most 64 times";
	opts->dirs[opts->nr_dirs++] = value;
	return NULL;
}

static const char *take_listen(void *ctx, char *value)
{
	((struct image_cache_options *)ctx)->listen = value;
	return *value ? NULL : "an address: unix:PATH, or HOST:PORT";
}

static const char *take_link_fd(void *ctx, char *value)
{
	unsigned long number = 0;
	const char *want = options_number(value, 0, INT_MAX, &number);

	((struct image_cache_options *)ctx)->link_fd = number;
	return want;
}

static const char *take_max_memory(void *ctx, char *value)
{
	return options_number(value, 1, 1UL << 30, &((struct image_cache_options *)ctx)->max_mib);
}

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "--images-dir of the restore, or ID=DIR; several times for several at a time",
	  .many = true, .take = take_images_dir },
	{ "listen", "ADDRESS", "where image-proxy connects: unix:PATH, or HOST:PORT with --insecure",
	  .take = take_listen },
	{ "link-fd", "FD", "this connected socket leads to image-proxy instead", .take = take_link_fd },
	{ "max-memory", "MIB", "most memory for images (half of what is available)",
	  .take = take_max_memory },
	{ "insecure", .text = "HOST:PORT without encryption: who reaches it can send a program to restore",
	  .flag = offsetof(struct image_cache_options, insecure) },
	{ "once", .text = "end after one restore", .flag = offsetof(struct image_cache_options, once) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct image_cache_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"image-cache", "--images-dir DIR --listen ADDRESS [OPTION]...",
	"Hold images of image-proxy in memory for criu restore --stream.", options,
};

int image_cache_main(int argc, char **argv)
{
	struct image_cache_options opts = { .link_fd = -1 };
	struct error err = { 0 };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.nr_dirs)
		return options_wrong(&verb, "--images-dir is missing");
	if (!opts.listen == (opts.link_fd < 0))
		return options_wrong(&verb, "say either --listen or --link-fd");
	report_init(opts.json);
	if (!opts.max_mib)
		opts.max_mib = proc_mem_available() / MEMORY_PART / MIB + 1;
	if (!opts.listen || !conn_check_where(opts.listen, opts.insecure, &err))
		return image_cache_run(&opts);
	report_error(&err);
	return err.code;
}
