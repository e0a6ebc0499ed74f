// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/report.h"
#include "cli/migrate.h"
#include "cli/options.h"
#include "cli/rate.h"
#include "cli/tls_options.h"
#include "session/ledger.h"
#include "source/loss.h"

static const char *take_pid(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	unsigned long pid;
	const char *want = options_number(value, 1, INT_MAX, &pid);

	opts->pid = pid;
	return want;
}

static const char *take_to(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	if (opts->to)
		return "alone: --to and --listen are two ways";
	opts->to = value;
	return *value ? NULL : "unix:PATH, HOST or HOST:PORT";
}

static const char *take_listen(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	opts->listens = true;
	return take_to(ctx, value);
}

static const char *take_mode(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	int mode = migrate_mode_find(value);

	opts->mode = mode;
	return mode < 0 ? "auto, precopy or postcopy" : NULL;
}

static const char *take_backend(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	int kind = backend_kind_find(value);

	opts->backend = kind;
	return kind < 0 ? "auto, module or vmread" : NULL;
}

static const char *take_tracker(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	int tracker = backend_tracker_find(value);

	opts->tracker = tracker;
	return tracker < 0 ? "auto, write-protect or soft-dirty" : NULL;
}

static const char *take_u32(const char *value, uint32_t min, uint32_t max, uint32_t *to)
{
	unsigned long number;
	const char *want = options_number(value, min, max, &number);

	*to = number;
	return want;
}

static const char *take_max_downtime(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	opts->limits_downtime = true;
	return take_u32(value, 1, 3600000, &opts->max_downtime_ms);
}

static const char *take_on_stall(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	int on_stall = on_stall_find(value);

	opts->on_stall = on_stall;
	return on_stall < 0 ? "postcopy, throttle or abort" : NULL;
}

static const char *take_bandwidth(void *ctx, char *value)
{
	return rate_parse(value, &((struct migrate_options *)ctx)->bandwidth);
}

static const char *take_compress(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;
	int compress = compress_find(value);

	opts->compress = compress;
	opts->compress_said = true;
	return compress < 0 ? "auto, off, zstd or lz4" : NULL;
}

static const char *take_streams(void *ctx, char *value)
{
	return take_u32(value, 1, STREAMS_MAX, &((struct migrate_options *)ctx)->streams);
}

static const char *take_max_rounds(void *ctx, char *value)
{
	return take_u32(value, 1, 1000, &((struct migrate_options *)ctx)->max_rounds);
}

static const char *take_max_frozen(void *ctx, char *value)
{
	return take_u32(value, 1, 86400, &((struct migrate_options *)ctx)->max_frozen_s);
}

static const char *take_link_timeout(void *ctx, char *value)
{
	return take_u32(value, 100, 60000, &((struct migrate_options *)ctx)->link_timeout_ms);
}

static const char *take_log_level(void *ctx, char *value)
{
	return take_u32(value, 0, 4, &((struct migrate_options *)ctx)->criu_log_level);
}

static const char *take_images_dir(void *ctx, char *value)
{
	return options_path(value, &((struct migrate_options *)ctx)->images_base);
}

static const char *take_ledger(void *ctx, char *value)
{
	return options_path(value, &((struct migrate_options *)ctx)->ledger);
}

static const char *take_loss(void *ctx, char *value)
{
	static char want[1100];
	struct migrate_options *opts = ctx;
	enum loss loss = loss_find(value);

	if (loss < LOSS_NR) {
		opts->accepted_losses |= 1UL << loss;
		return NULL;
	}
	snprintf(want, sizeof(want), "one of %s", loss_names());
	return want;
}

static const char *take_storage(void *ctx, char *path)
{
	struct migrate_options *opts = ctx;
	size_t len = strlen(path);

	if (*path != '/')
		return "an absolute path";
	if (opts->nr_shared_storage == SHARED_STORAGE_MAX)
		return "one of at most 32 paths";
	while (len && path[len - 1] == '/')
		path[--len] = 0;
	opts->shared_storage[opts->nr_shared_storage++] = path;
	return NULL;
}

static const char *take_reconnect(void *ctx, char *name)
{
	struct migrate_options *opts = ctx;

	if ((*name != '/' && *name != '@') || !name[1])
		return "an absolute path, or @NAME";
	if (opts->nr_reconnect == RECONNECT_MAX)
		return "one of at most 32 names";
	opts->reconnect[opts->nr_reconnect++] = name;
	return NULL;
}

static const char *take_replace_tty(void *ctx, char *value)
{
	return options_path(value, &((struct migrate_options *)ctx)->replace_tty);
}

static const char *take_tcp(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	opts->keeps_tcp = !strcmp(value, "keep");
	return opts->keeps_tcp || !strcmp(value, "close") ? NULL : "close or keep";
}

static const char *take_criu_config(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	opts->criu_config = value;
	return *value ? NULL : "a file";
}

static const char *take_fdfs(void *ctx, char *value)
{
	return options_descriptor(value, &((struct migrate_options *)ctx)->given.fs);
}

static const char *take_msgfd(void *ctx, char *value)
{
	return options_descriptor(value, &((struct migrate_options *)ctx)->given.msg);
}

static const char *take_fdrpc(void *ctx, char *value)
{
	return options_descriptor(value, &((struct migrate_options *)ctx)->given.rpc);
}

static const char *take_fdmem(void *ctx, char *value)
{
	return options_fdmem(value, &((struct migrate_options *)ctx)->given);
}

static const char *take_result(void *ctx, char *value)
{
	struct migrate_options *opts = ctx;

	opts->result = value;
	return *value ? NULL : "a file";
}

static const struct cli_option options[] = {
	{ "pid", "PID", "the program", .take = take_pid },
	{ "to", "WHERE", "where to: unix:PATH, or HOST[:PORT] (port 7070)", .take = take_to },
	{ "listen", "WHERE",
	  "in place of --to: wait there for \"serve --from\" to connect",
	  .take = take_listen },
	{ "mode", "MODE",
	  "auto: send memory while it runs, the rest after it moved\n"
	  "precopy: send the rest while it stands\n"
	  "postcopy: send everything after it moved", .take = take_mode },
	{ "backend", "NAME",
	  "how memory is read. module: by the kernel module;\n"
	  "vmread: copied without it, which is slower;\n"
	  "auto: module where it can be used, else vmread", .take = take_backend },
	{ "tracker", "NAME",
	  "how written pages are found. write-protect: it never stands in\n"
	  "a round; with the module on Linux 6.7 and later;\n"
	  "soft-dirty: its soft-dirty bits are cleared in each round;\n"
	  "auto: write-protect where it can be used, else soft-dirty", .take = take_tracker },
	{ "max-downtime", "MS",
	  "stop it when it would stand for less (300; 1 to\n"
	  "3600000), for a quarter of it while rounds shrink. A program whose dump and restore alone take\n"
	  "longer is refused if this was given", .take = take_max_downtime },
	{ "force-downtime", NULL, "move such a program all the same",
	  .flag = offsetof(struct migrate_options, force_downtime) },
	{ "on-stall", "ACTION",
	  "when rounds do not shrink any more, or --max-rounds is reached.\n"
	  "postcopy: stop it, and send the rest after it moved, with\n"
	  "--mode precopy too; throttle: give it less CPU time until they\n"
	  "do, by the limit of its control group; abort: let it go on here.\n"
	  "Unless said it is stopped, and the mode says the rest", .take = take_on_stall },
	{ "bandwidth", "LIMIT",
	  "send memory no faster than 100MiB/s or 1Gbit/s, say. Pages\n"
	  "that the program waits for go at once", .take = take_bandwidth },
	{ "compress", "HOW",
	  "memory on its way. off: not; zstd or lz4: always; auto: as is\n"
	  "measured, where the link is slower than the compressor (auto;\n"
	  "off with the module, which sends pages by reference)",
	  .take = take_compress },
	{ "streams", "N",
	  "connections that memory goes over at once, each with a thread at\n"
	  "both ends (1; 1 to 16)", .take = take_streams },
	{ "max-rounds", "N", "stop it after so many rounds (8; 1 to 1000)",
	  .take = take_max_rounds },
	{ "max-frozen", "S",
	  "give up when it stands for so long and has not moved\n(30; 1 to 86400)",
	  .take = take_max_frozen },
	{ "link-timeout", "MS",
	  "while it stands, a link that is silent for so long is lost\n"
	  "and the program goes on here (400; 100 to 60000);\n"
	  "through a tunnel it is always 5000", .take = take_link_timeout },
	{ "verify", .text = "compare all memory on both sides before it goes on",
	  .flag = offsetof(struct migrate_options, verify) },
	{ "accept-loss", "NAME",
	  "move it although this is lost; can be said several times.\n"
	  "An unknown NAME lists the known ones", .take = take_loss, .many = true },
	{ "shared-storage", "PATH",
	  "files there are the same on both machines; can be said\nseveral times",
	  .take = take_storage, .many = true },
	{ "reconnect", "PATH",
	  "connect unix sockets of the program anew to the server\n"
	  "with this path there, or @NAME; can be said several times.\n"
	  "The journal and /dev/log need not be named", .take = take_reconnect, .many = true },
	{ "replace-tty", "FILE",
	  "let the program write to FILE there instead of its\n"
	  "terminal; /dev/null for nowhere", .take = take_replace_tty },
	{ "tcp", "close|keep",
	  "its TCP connections. close: they are closed (unless said);\n"
	  "keep: they go on there, and the addresses that they have\n"
	  "here move with it, so that nothing else may use these",
	  .take = take_tcp },
	{ "criu-config", "FILE",
	  "options of CRIU's own for this program, one a line; the man\n"
	  "page says which, and what the destination has to allow",
	  .take = take_criu_config },
	CLI_TLS_PSK(struct migrate_options),
	CLI_TLS_DIR(struct migrate_options),
	CLI_NO_KTLS(struct migrate_options),
	{ "allow", "FILE", "with --listen or --fdrpc: names of keys or certificates that\n"
	  "may take the program, one a line (all that prove who they are)", .word = offsetof(struct migrate_options, tls.allow) },
	{ "insecure", .text = "take a HOST, loopback too, without TLS",
	  .flag = offsetof(struct migrate_options, tls.insecure) },
	{ "images-dir", "DIR",
	  "for CRIU's images, an absolute path, on tmpfs\n"
	  "(/run/migrate-helper, or /dev/shm/migrate-helper)", .take = take_images_dir },
	{ "ledger", "DIR", "where it is noted, on a disk, how far the hand-over went\n(" LEDGER_BASE ")",
	  .take = take_ledger },
	{ "criu-log-level", "N", "0 to 4 (2)", .take = take_log_level },
	{ "fdrpc", "N",
	  "in place of --to: the control connection is this stream\n"
	  "socket, which the caller opened", .take = take_fdrpc },
	{ "fdmem", "N",
	  "twice, with --fdrpc: the connection for memory, and the one\n"
	  "for pages that the program waits for; more: memory streams", .take = take_fdmem, .many = true },
	{ "insecure-fds", .text = "no TLS on --fdrpc and --fdmem, be they TCP",
	  .flag = offsetof(struct migrate_options, given.insecure) },
	{ "fs-driver", "COMMAND",
	  "moves the files of the program, over --fdfs, unless a\n"
	  "manager does", .word = offsetof(struct migrate_options, fs_driver) },
	{ "fdfs", "N", "the connection of --fs-driver, which the caller opened", .take = take_fdfs },
	{ "msgfd", "N",
	  "a stream socket that the caller opened, with a manager at its\n"
	  "other end: it moves the program's files, and is told the\n"
	  "outcome", .take = take_msgfd },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct migrate_options, json) },
	{ "result", "FILE", "write the result there, as a JSON object", .take = take_result },
	{ 0 }
};

static const struct cli_verb verb = {
	"migrate", "--pid PID {--to|--listen} WHERE [OPTION]...",
	"Move a running program to the machine where \"migrate-helper serve\" runs.", options,
};

int migrate_options_parse(int argc, char **argv, struct migrate_options *opts)
{
	int code;

	*opts = (struct migrate_options){
		.max_downtime_ms = 300, .max_rounds = 8, .link_timeout_ms = 400,
		.max_frozen_s = 30, .criu_log_level = 2, .given = GIVEN_NONE,
	};
	code = options_parse(&verb, argc, argv, opts);
	if (code >= 0)
		return code;
	if (opts->to && given_has_link(&opts->given))
		return options_wrong(&verb, "--%s and --fdrpc or --fdmem both say where to", opts->listens ? "listen" : "to");
	if (given_has_link(&opts->given))
		opts->to = "the other end of --fdrpc";
	if (given_has_link(&opts->given) && opts->streams && opts->given.nr_mem != opts->streams + 1)
		return options_wrong(&verb, "--streams %u needs %u of --fdmem: one for each stream, and the second one of all for the pages that the program waits for",
				     opts->streams, opts->streams + 1);
	if (!opts->pid || !opts->to)
		return options_wrong(&verb, "%s is missing", opts->pid ? "--to (or --listen, or --fdrpc and --fdmem)" : "--pid");
	return -1;
}

int migrate_main(int argc, char **argv)
{
	struct migrate_options opts;
	int code = migrate_options_parse(argc, argv, &opts);

	if (code >= 0)
		return code;
	report_init(opts.json);
	return source_migration_run(&opts);
}
