// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/report.h"
#include "cli/lazy_pages.h"
#include "cli/options.h"
#include "services/lazy_pages.h"

#define PORT_MAX	65535

static const char *take_images_dir(void *ctx, char *value)
{
	((struct lazy_pages_options *)ctx)->images_dir = value;
	return *value ? NULL : "a directory";
}

static const char *take_work_dir(void *ctx, char *value)
{
	((struct lazy_pages_options *)ctx)->work_dir = value;
	return *value ? NULL : "a directory";
}

static const char *take_address(void *ctx, char *value)
{
	((struct lazy_pages_options *)ctx)->address = value;
	return *value ? NULL : "an address, as 10.0.0.2";
}

static const char *take_port(void *ctx, char *value)
{
	return options_number(value, 0, PORT_MAX, &((struct lazy_pages_options *)ctx)->port);
}

static const char *take_restores(void *ctx, char *value)
{
	return options_number(value, 0, INT_MAX, &((struct lazy_pages_options *)ctx)->restores);
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
	return take_fd(value, &((struct lazy_pages_options *)ctx)->status_fd);
}

static const char *take_ps_socket(void *ctx, char *value)
{
	return take_fd(value, &((struct lazy_pages_options *)ctx)->ps_socket);
}

static const struct cli_option options[] = {
	{ "images-dir", "DIR", "images of the dump (the current directory)", .take = take_images_dir },
	{ "work-dir", "DIR", "where lazy-pages.socket is made: that of criu restore (--images-dir)",
	  .take = take_work_dir },
	{ "page-server", .text = "the pages are at a page server; --address says so as well",
	  .flag = offsetof(struct lazy_pages_options, page_server) },
	{ "address", "ADDRESS", "of the page server of criu dump --lazy-pages (the images have the pages)",
	  .take = take_address },
	{ "port", "PORT", "of the page server", .take = take_port },
	{ "listen", .text = "the page server connects here, to --address and --port",
	  .flag = offsetof(struct lazy_pages_options, listen) },
	{ "ps-socket", "FD", "FD is the connection with the page server", .take = take_ps_socket },
	{ "restores", "N", "end after N restores of the same dump; 0: at a signal (1)", .take = take_restores },
	{ "status-fd", "FD", "write one byte to FD when criu restore may begin", .take = take_status_fd },
	{ "tls", .text = "speak TLS with the page server, as criu lazy-pages --tls does",
	  .flag = offsetof(struct lazy_pages_options, tls) },
	{ "tls-cacert", "FILE", "authorities that sign its certificate (/etc/pki/CA/cacert.pem, and the system's)",
	  .word = offsetof(struct lazy_pages_options, tls_files.cacert) },
	{ "tls-cacrl", "FILE", "revoked certificates (/etc/pki/CA/cacrl.pem, if it is there)",
	  .word = offsetof(struct lazy_pages_options, tls_files.cacrl) },
	{ "tls-cert", "FILE", "our certificate (/etc/pki/criu/cert.pem)",
	  .word = offsetof(struct lazy_pages_options, tls_files.cert) },
	{ "tls-key", "FILE", "its private key (/etc/pki/criu/private/key.pem)",
	  .word = offsetof(struct lazy_pages_options, tls_files.key) },
	{ "tls-no-cn-verify", .text = "the page server's certificate need not be for the address of --address",
	  .flag = offsetof(struct lazy_pages_options, tls_any_name) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct lazy_pages_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"lazy-pages", "[OPTION]...",
	"Give criu restore --lazy-pages its memory, from criu dump --lazy-pages or from images.", options,
};

int lazy_pages_main(int argc, char **argv)
{
	struct lazy_pages_options opts = {
		.images_dir = ".", .status_fd = -1, .ps_socket = -1, .restores = 1,
	};
	int code = options_parse(&verb, argc, argv, &opts);

	if (code >= 0)
		return code;
	if (opts.address && opts.ps_socket >= 0)
		return options_wrong(&verb, "say either --address or --ps-socket");
	if (opts.page_server && !opts.address && opts.ps_socket < 0)
		return options_wrong(&verb, "say where the page server is: --address and --port");
	if (opts.tls && !opts.address && opts.ps_socket < 0)
		return options_wrong(&verb, "--tls needs a page server: --address or --ps-socket");
	if (!opts.tls && (opts.tls_any_name || opts.tls_files.cacert || opts.tls_files.cacrl ||
			  opts.tls_files.cert || opts.tls_files.key))
		return options_wrong(&verb, "the options --tls-... need --tls");
	if (opts.listen && !opts.address)
		return options_wrong(&verb, "--listen needs --address (127.0.0.1: this machine alone, 0.0.0.0: all)");
	if (opts.address && !opts.listen && !opts.port)
		return options_wrong(&verb, "--address needs --port");
	report_init(opts.json);
	return lazy_pages_run(&opts);
}
