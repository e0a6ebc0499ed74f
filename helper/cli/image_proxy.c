// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/image_proxy.h"
#include "cli/options.h"
#include "services/image_proxy.h"
#include "wire/conn.h"

static const char *take_images_dir(void *ctx, char *value)
{
	struct image_proxy_options *opts = ctx;

	if (!*value || opts->nr_dirs == IMAGE_DOORS_MAX)
		return "a directory, at most 64 times";
	opts->dirs[opts->nr_dirs++] = value;
	return NULL;
}

static const char *take_to(void *ctx, char *value)
{
	((struct image_proxy_options *)ctx)->to = value;
	return *value ? NULL : "an address: unix:PATH, or HOST:PORT";
}

static const char *take_link_fd(void *ctx, char *value)
{
	unsigned long number = 0;
	const char *want = options_number(value, 0, INT_MAX, &number);

	((struct image_proxy_options *)ctx)->link_fd = number;
	return want;
}

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "--images-dir of the dump, or ID=DIR; several times for several dumps at a time",
	  .many = true, .take = take_images_dir },
	{ "to", "ADDRESS", "where image-cache listens: unix:PATH, or HOST:PORT with --insecure",
	  .take = take_to },
	{ "link-fd", "FD", "this connected socket leads to image-cache instead", .take = take_link_fd },
	{ "insecure", .text = "HOST:PORT without encryption: the images are memory",
	  .flag = offsetof(struct image_proxy_options, insecure) },
	{ "once", .text = "end after one dump, with its exit status",
	  .flag = offsetof(struct image_proxy_options, once) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct image_proxy_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"image-proxy", "--images-dir DIR --to ADDRESS [OPTION]...",
	"Hand the images that criu dump --stream writes on to image-cache, and none to a disk.", options,
};

int image_proxy_main(int argc, char **argv)
{
	struct image_proxy_options opts = { .link_fd = -1 };
	struct error err = { 0 };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.nr_dirs)
		return options_wrong(&verb, "--images-dir is missing");
	if (!opts.to == (opts.link_fd < 0))
		return options_wrong(&verb, "say either --to or --link-fd");
	report_init(opts.json);
	if (!opts.to || !conn_check_where(opts.to, opts.insecure, &err))
		return image_proxy_run(&opts);
	report_error(&err);
	return err.code;
}
