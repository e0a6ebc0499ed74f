// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/options.h"
#include "cli/pre_dump.h"
#include "services/predump.h"

#define PORT_MAX	65535

static const char *take_pid(void *ctx, char *value)
{
	unsigned long number;
	const char *want = options_number(value, 1, INT_MAX, &number);

	((struct predump_options *)ctx)->pid = number;
	return want;
}

static const char *take_images_dir(void *ctx, char *value)
{
	((struct predump_options *)ctx)->images_dir = value;
	return *value ? NULL : "a directory";
}

static const char *take_prev_images_dir(void *ctx, char *value)
{
	((struct predump_options *)ctx)->prev_images_dir = value;
	return *value ? NULL : "a directory, relative to that of the images";
}

static const char *take_port(void *ctx, char *value)
{
	return options_number(value, 1, PORT_MAX, &((struct predump_options *)ctx)->server.port);
}

static const char *take_backend(void *ctx, char *value)
{
	int kind = backend_kind_find(value);

	((struct predump_options *)ctx)->backend = kind;
	return kind < 0 ? "auto, module or vmread" : NULL;
}

static const struct cli_option options[] = {
	{ "pid", "PID", "the first process of the tree", .take = take_pid },
	{ "images-dir", "DIR", "write the images there, a new directory (the current directory)",
	  .take = take_images_dir },
	{ "prev-images-dir", "DIR", "images of the pre-dump before this one, relative to --images-dir",
	  .take = take_prev_images_dir },
	{ "backend", "KIND", "auto, module, or vmread: without the module (auto)", .take = take_backend },
	{ "address", "ADDRESS", "send the memory to the page server there, as criu pre-dump --page-server",
	  .word = offsetof(struct predump_options, server.address) },
	{ "port", "PORT", "of --address", .take = take_port },
	{ "wide", .text = "the page server is CRIU 4.2 or later (migrate-helper page-server needs no --wide)",
	  .flag = offsetof(struct predump_options, server.wide) },
	{ "tls", .text = "speak TLS with it, as criu --tls does",
	  .flag = offsetof(struct predump_options, server.tls) },
	{ "tls-cacert", "FILE", "authorities that sign its certificate (/etc/pki/CA/cacert.pem, and the system's)",
	  .word = offsetof(struct predump_options, server.tls_files.cacert) },
	{ "tls-cacrl", "FILE", "revoked certificates (/etc/pki/CA/cacrl.pem, if it is there)",
	  .word = offsetof(struct predump_options, server.tls_files.cacrl) },
	{ "tls-cert", "FILE", "our certificate (/etc/pki/criu/cert.pem)",
	  .word = offsetof(struct predump_options, server.tls_files.cert) },
	{ "tls-key", "FILE", "its private key (/etc/pki/criu/private/key.pem)",
	  .word = offsetof(struct predump_options, server.tls_files.key) },
	{ "tls-no-cn-verify", .text = "the server's certificate need not be for the address of --address",
	  .flag = offsetof(struct predump_options, server.tls_any_name) },
	{ "buffered", .text = "write through the page cache, also where the file system can do without",
	  .flag = offsetof(struct predump_options, buffered) },
	{ "no-fsync", .text = "do not wait for the disk",
	  .flag = offsetof(struct predump_options, no_fsync) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct predump_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"pre-dump", "--pid PID [OPTION]...",
	"Write the memory of running processes, in place of criu pre-dump.", options,
};

int pre_dump_main(int argc, char **argv)
{
	struct predump_options opts = { .images_dir = "." };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.pid)
		return options_wrong(&verb, "--pid is missing");
	if (!opts.server.address != !opts.server.port)
		return options_wrong(&verb, "--address and --port go together");
	if (opts.server.tls && !opts.server.address)
		return options_wrong(&verb, "--tls needs the page server's --address");
	if (!opts.server.tls && (opts.server.tls_any_name || opts.server.tls_files.cacert ||
				 opts.server.tls_files.cacrl || opts.server.tls_files.cert ||
				 opts.server.tls_files.key))
		return options_wrong(&verb, "the options --tls-... need --tls");
	report_init(opts.json);
	return predump_run(&opts);
}
