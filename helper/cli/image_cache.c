// SPDX-License-Identifier: GPL-2.0
#include "cli/image_cache.h"
#include "cli/image_options.h"
#include "services/image_cache.h"

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "--images-dir of the restore, or ID=DIR; several times for several at a time",
	  .many = true, .take = image_options_dir },
	{ "remote-socket", "PATH", "where the original protocol, criu --remote, is spoken; or ID=PATH",
	  .take = image_options_remote },
	{ "listen", "ADDRESS", "where image-proxy connects: unix:PATH, or HOST:PORT with --insecure",
	  .take = image_options_address },
	{ "link-fd", "FD", "this connected socket leads to image-proxy instead",
	  .take = image_options_link_fd },
	{ "max-memory", "MIB", "most memory for images (half of what is available)",
	  .take = image_options_memory },
	{ "insecure", .text = "HOST:PORT without encryption: who reaches it can send a program to restore",
	  .flag = offsetof(struct image_options, insecure) },
	{ "once", .text = "end after one restore", .flag = offsetof(struct image_options, once) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct image_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"image-cache", "--images-dir DIR --listen ADDRESS [OPTION]...",
	"Hold images of image-proxy in memory for criu restore --stream.", options,
};

int image_cache_main(int argc, char **argv)
{
	return image_options_main(&verb, "listen", image_cache_run, argc, argv);
}
