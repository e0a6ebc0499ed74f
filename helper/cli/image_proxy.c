// SPDX-License-Identifier: GPL-2.0
#include "cli/image_options.h"
#include "cli/image_proxy.h"
#include "services/image_proxy.h"

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "--images-dir of the dump, or ID=DIR; several times for several dumps at a time",
	  .many = true, .take = image_options_dir },
	{ "remote-socket", "PATH", "where the original protocol, criu --remote, is spoken; or ID=PATH",
	  .take = image_options_remote },
	{ "page-server", "HOST:PORT", "where criu pre-dump and dump --page-server send memory, as a chain",
	  .take = image_options_page_server },
	{ "to", "ADDRESS", "where image-cache listens: unix:PATH, or HOST:PORT with --insecure",
	  .take = image_options_address },
	{ "link-fd", "FD", "this connected socket leads to image-cache instead",
	  .take = image_options_link_fd },
	{ "max-memory", "MIB", "most memory for images of --remote-socket, or of one dump of --page-server (half of what is available)",
	  .take = image_options_memory },
	{ "timeout", "SECONDS", "a dump fails when the cache takes nothing of it for so long (never)",
	  .take = image_options_timeout },
	{ "leave-running", .text = "the dump leaves the program there: images count when CRIU says that it ended well",
	  .flag = offsetof(struct image_options, leave_running) },
	{ "insecure", .text = "HOST:PORT without encryption: the images are memory",
	  .flag = offsetof(struct image_options, insecure) },
	{ "once", .text = "end after one dump, with its exit status",
	  .flag = offsetof(struct image_options, once) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct image_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"image-proxy", "--images-dir DIR --to ADDRESS [OPTION]...",
	"Hand the images that criu dump --stream writes on to image-cache, and none to a disk.", options,
};

int image_proxy_main(int argc, char **argv)
{
	return image_options_main(&verb, "to", image_proxy_run, argc, argv);
}
