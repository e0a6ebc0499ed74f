// SPDX-License-Identifier: GPL-2.0
#include <net/if.h>
#include <string.h>
#include "base/report.h"
#include "cli/options.h"
#include "cli/serve.h"
#include "cli/tls_options.h"
#include "dest/acceptor.h"
#include "os/memfs.h"
#include "session/ledger.h"

#define MAX_MIB		(1UL << 27)	/* all of user space */

static const char *take_listen(void *ctx, char *value)
{
	struct serve_options *opts = ctx;

	opts->listen = value;
	return *value ? NULL : "unix:PATH, HOST or HOST:PORT";
}

static const char *take_images_dir(void *ctx, char *value)
{
	return options_path(value, &((struct serve_options *)ctx)->images_base);
}

static const char *take_ledger(void *ctx, char *value)
{
	return options_path(value, &((struct serve_options *)ctx)->ledger);
}

static const char *take_max_memory(void *ctx, char *value)
{
	struct serve_options *opts = ctx;
	unsigned long mib;
	const char *want = options_number(value, 1, MAX_MIB, &mib);

	opts->max_bytes = (uint64_t)mib << 20;
	return want;
}

static const char *take_addresses(void *ctx, char *value)
{
	struct address_terms *terms = &((struct serve_options *)ctx)->take_addresses;
	char *list = strchr(value, '=');

	if (list && net_ranges_parse(&terms->ranges, list + 1))
		return "addresses behind the interface, as eth0=10.2.0.5,10.3.0.0/24";
	if (list)
		*list = 0;
	terms->interface = value;
	return *value && strlen(value) < IFNAMSIZ && if_nametoindex(value) ? NULL :
	       "an interface of this machine";
}

static const char *take_criu_config(void *ctx, char *value)
{
	((struct serve_options *)ctx)->criu_config = value;
	return *value ? NULL : "a file";
}

static const char *take_fdrpc(void *ctx, char *value)
{
	return options_descriptor(value, &((struct serve_options *)ctx)->given.rpc);
}

static const char *take_fdmem(void *ctx, char *value)
{
	return options_fdmem(value, &((struct serve_options *)ctx)->given);
}

static const char *take_fdfs(void *ctx, char *value)
{
	return options_descriptor(value, &((struct serve_options *)ctx)->given.fs);
}

static const char *take_msgfd(void *ctx, char *value)
{
	return options_descriptor(value, &((struct serve_options *)ctx)->given.msg);
}

static const struct cli_option options[] = {
	{ "listen", "WHERE",
	  "unix:PATH, or HOST[:PORT] (port 7070); unless said it is\n"
	  "the socket of its socket unit, or\n" SERVE_LISTEN,
	  .take = take_listen },
	{ "from", "WHERE",
	  "in place of --listen: connect to \"migrate --listen\" there,\n"
	  "and take one program", .word = offsetof(struct serve_options, from) },
	CLI_TLS_PSK(struct serve_options),
	CLI_TLS_DIR(struct serve_options),
	CLI_NO_KTLS(struct serve_options),
	{ "allow", "FILE",
	  "names of keys or certificates that may send, one a line (all\n"
	  "that prove who they are), and behind a name what it may\n"
	  "send: uids=1000-1999,33 gids=LIST", .word = offsetof(struct serve_options, tls.allow) },
	{ "insecure",
	  .text = "take a HOST, loopback too, without TLS: every client that\n"
		  "reaches the port can start programs as root",
	  .flag = offsetof(struct serve_options, tls.insecure) },
	{ "once", .text = "end after one migration that was accepted, with its exit\nstatus",
	  .flag = offsetof(struct serve_options, once) },
	{ "images-dir", "DIR",
	  "for CRIU's images, an absolute path, on tmpfs\n"
	  "(/run/migrate-helper, or /dev/shm/migrate-helper)", .take = take_images_dir },
	{ "ledger", "DIR", "where it is noted, on a disk, how far each hand-over went\n(" LEDGER_BASE ")",
	  .take = take_ledger },
	{ "max-memory", "MIB", "for all that moves here at a time (what is available)",
	  .take = take_max_memory },
	{ "take-addresses", "IF[=LIST]",
	  "give the interface IF the addresses that move here with a\n"
	  "program whose connections are kept (migrate --tcp keep);\n"
	  "LIST: no others than these, as 10.2.0.5,10.3.0.0/24 (any)",
	  .take = take_addresses },
	{ "criu-config", "FILE",
	  "options of CRIU's own that programs may ask for (migrate\n"
	  "--criu-config), and what their names stand for here",
	  .take = take_criu_config },
	{ "fdrpc", "N",
	  "in place of --listen: the control connection of one migration\n"
	  "is this stream socket, which the caller opened", .take = take_fdrpc },
	{ "fdmem", "N", "with --fdrpc: each of the others, in any order",
	  .take = take_fdmem, .many = true },
	{ "insecure-fds", .text = "no TLS on --fdrpc and --fdmem, be they TCP",
	  .flag = offsetof(struct serve_options, given.insecure) },
	{ "fs-driver", "COMMAND",
	  "takes in the files of the program, from --fdfs; with --once,\n"
	  "--from or --fdrpc", .word = offsetof(struct serve_options, fs_driver) },
	{ "fdfs", "N", "the connection of --fs-driver, which the caller opened", .take = take_fdfs },
	{ "msgfd", "N",
	  "a stream socket that the caller opened, with a manager at its\n"
	  "other end, which is told the outcome; with --once, --from or\n"
	  "--fdrpc", .take = take_msgfd },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct serve_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"serve", "[OPTION]...", "Take in programs that migrate to this machine.", options,
};

int serve_main(int argc, char **argv)
{
	struct serve_options opts = { .images_base = memfs_base(), .given = GIVEN_NONE };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!!opts.listen + !!opts.from + given_has_link(&opts.given) > 1)
		return options_wrong(&verb, "one of --listen, --from, and --fdrpc with --fdmem says where from");
	opts.once |= opts.from || given_has_link(&opts.given);
	if ((opts.given.msg >= 0 || opts.fs_driver) && !opts.once)
		return options_wrong(&verb, "--msgfd and --fs-driver are for one migration: with --once, --from or --fdrpc");
	report_init(opts.json);
	return acceptor_run(&opts);
}
