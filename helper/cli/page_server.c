// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/options.h"
#include "cli/page_server.h"
#include "services/page_server.h"

#define PORT_MAX	65535

static const char *take_images_dir(void *ctx, char *value)
{
	((struct page_server_options *)ctx)->images_dir = value;
	return *value ? NULL : "a directory";
}

static const char *take_prev_images_dir(void *ctx, char *value)
{
	((struct page_server_options *)ctx)->prev_images_dir = value;
	return *value ? NULL : "a directory, relative to that of the images";
}

static const char *take_address(void *ctx, char *value)
{
	((struct page_server_options *)ctx)->address = value;
	return *value ? NULL : "an address of this machine, as 10.0.0.2";
}

static const char *take_port(void *ctx, char *value)
{
	return options_number(value, 0, PORT_MAX, &((struct page_server_options *)ctx)->port);
}

static const char *take_fd(char *value, int *fd)
{
	unsigned long number;
	const char *want = options_number(value, 0, INT_MAX, &number);

	*fd = number;
	return want;
}

static const char *take_status_fd(void *ctx, char *value)
{
	return take_fd(value, &((struct page_server_options *)ctx)->status_fd);
}

static const char *take_ps_socket(void *ctx, char *value)
{
	return take_fd(value, &((struct page_server_options *)ctx)->ps_socket);
}

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "write pagemap-*.img and pages-*.img there (the current directory)",
	  .take = take_images_dir },
	{ "prev-images-dir", "DIR",
	  "images of the pre-dump before this dump, relative to --images-dir", .take = take_prev_images_dir },
	{ "address", "ADDRESS", "where to listen; 0.0.0.0: at all addresses of this machine",
	  .take = take_address },
	{ "port", "PORT", "0: a free one, which is told (0)", .take = take_port },
	{ "ps-socket", "FD", "receive one dump from this socket instead", .take = take_ps_socket },
	{ "status-fd", "FD", "write one byte to FD when the server is ready", .take = take_status_fd },
	{ "once", .text = "end after one dump, with its exit status, as criu page-server does",
	  .flag = offsetof(struct page_server_options, once) },
	{ "no-fsync", .text = "do not wait for the disk before the dump may end",
	  .flag = offsetof(struct page_server_options, no_fsync) },
	{ "tls", .text = "take nothing but TLS, and verify the sender's certificate, as criu page-server --tls does",
	  .flag = offsetof(struct page_server_options, tls) },
	{ "tls-cacert", "FILE", "authorities that sign the sender's certificate (/etc/pki/CA/cacert.pem,\n"
	  "and the system's)",
	  .word = offsetof(struct page_server_options, tls_files.cacert) },
	{ "tls-cacrl", "FILE", "revoked certificates (/etc/pki/CA/cacrl.pem, if it is there)",
	  .word = offsetof(struct page_server_options, tls_files.cacrl) },
	{ "tls-cert", "FILE", "this server's certificate (/etc/pki/criu/cert.pem)",
	  .word = offsetof(struct page_server_options, tls_files.cert) },
	{ "tls-key", "FILE", "its private key (/etc/pki/criu/private/key.pem)",
	  .word = offsetof(struct page_server_options, tls_files.key) },
	{ "tls-no-cn-verify", .text = "the sender's certificate need not be for the address of --address",
	  .flag = offsetof(struct page_server_options, tls_any_name) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct page_server_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"page-server", "[OPTION]...",
	"Write the pages that criu dump --page-server and criu pre-dump --page-server send.", options,
};

int page_server_main(int argc, char **argv)
{
	struct page_server_options opts = { .images_dir = ".", .status_fd = -1, .ps_socket = -1 };
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (!opts.tls && (opts.tls_any_name || opts.tls_files.cacert || opts.tls_files.cacrl ||
			  opts.tls_files.cert || opts.tls_files.key))
		return options_wrong(&verb, "the options --tls-... need --tls");
	if (!opts.address == (opts.ps_socket < 0))
		return options_wrong(&verb, "say either --address (127.0.0.1: this machine alone, 0.0.0.0: all) or --ps-socket");
	report_init(opts.json);
	return page_server_run(&opts);
}
