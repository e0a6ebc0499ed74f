// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/lazy_source.h"
#include "cli/options.h"
#include "services/lazy_source.h"

#define PORT_MAX	65535

static const char *take_pid(void *ctx, char *value)
{
	unsigned long number;
	const char *want = options_number(value, 1, INT_MAX, &number);

	((struct lazy_source_options *)ctx)->pid = number;
	return want;
}

static const char *take_criu_port(void *ctx, char *value)
{
	return options_number(value, 1, PORT_MAX, &((struct lazy_source_options *)ctx)->criu_port);
}

static const char *take_port(void *ctx, char *value)
{
	return options_number(value, 0, PORT_MAX, &((struct lazy_source_options *)ctx)->port);
}

static const char *take_backend(void *ctx, char *value)
{
	int kind = backend_kind_find(value);

	((struct lazy_source_options *)ctx)->backend = kind;
	return kind < 0 ? "auto, module or vmread" : NULL;
}

static const char *take_status_fd(void *ctx, char *value)
{
	unsigned long number;
	const char *want = options_number(value, 0, INT_MAX, &number);

	((struct lazy_source_options *)ctx)->status_fd = number;
	return want;
}

static const struct cli_option options[] = {
	{ "pid", "PID", "the first process of the dumped tree", .take = take_pid },
	{ "images-dir", "DIR", "images of the dump (the current directory)",
	  .word = offsetof(struct lazy_source_options, images_dir) },
	{ "criu-port", "PORT", "where criu dump --lazy-pages listens", .take = take_criu_port },
	{ "criu-address", "ADDRESS", "the same (127.0.0.1)",
	  .word = offsetof(struct lazy_source_options, criu_address) },
	{ "address", "ADDRESS", "where to listen for lazy-pages; 0.0.0.0: at all addresses of this machine",
	  .word = offsetof(struct lazy_source_options, address) },
	{ "port", "PORT", "0: a free one, which is told (0)", .take = take_port },
	{ "connect", .text = "lazy-pages --listen is at --address and --port: connect to it",
	  .flag = offsetof(struct lazy_source_options, connect) },
	{ "backend", "KIND", "auto, module, or vmread: without the module (auto)", .take = take_backend },
	{ "status-fd", "FD", "write one byte to FD when lazy-pages may connect", .take = take_status_fd },
	{ "tls", .text = "speak TLS with lazy-pages, as criu dump --tls does",
	  .flag = offsetof(struct lazy_source_options, tls) },
	{ "tls-cacert", "FILE", "authorities that sign its certificate (/etc/pki/CA/cacert.pem, and the system's)",
	  .word = offsetof(struct lazy_source_options, tls_files.cacert) },
	{ "tls-cacrl", "FILE", "revoked certificates (/etc/pki/CA/cacrl.pem, if it is there)",
	  .word = offsetof(struct lazy_source_options, tls_files.cacrl) },
	{ "tls-cert", "FILE", "our certificate (/etc/pki/criu/cert.pem)",
	  .word = offsetof(struct lazy_source_options, tls_files.cert) },
	{ "tls-key", "FILE", "its private key (/etc/pki/criu/private/key.pem)",
	  .word = offsetof(struct lazy_source_options, tls_files.key) },
	{ "tls-no-cn-verify", .text = "lazy-pages' certificate need not be for the address of --address",
	  .flag = offsetof(struct lazy_source_options, tls_any_name) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct lazy_source_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"lazy-source", "--pid PID --criu-port PORT --address ADDRESS [OPTION]...",
	"Give lazy-pages the memory of what criu dump --lazy-pages holds, over connections that may break.", options,
};

int lazy_source_main(int argc, char **argv)
{
	struct lazy_source_options opts = { .images_dir = ".", .criu_address = "127.0.0.1", .status_fd = -1 };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.pid)
		return options_wrong(&verb, "--pid is missing");
	if (!opts.criu_port)
		return options_wrong(&verb, "--criu-port is missing: that of criu dump --lazy-pages");
	if (!opts.address)
		return options_wrong(&verb, "--address is missing (127.0.0.1: this machine alone, 0.0.0.0: all)");
	if (opts.connect && !opts.port)
		return options_wrong(&verb, "--connect needs --port");
	if (!opts.tls && (opts.tls_any_name || opts.tls_files.cacert || opts.tls_files.cacrl ||
			  opts.tls_files.cert || opts.tls_files.key))
		return options_wrong(&verb, "the options --tls-... need --tls");
	report_init(opts.json);
	return lazy_source_run(&opts);
}
