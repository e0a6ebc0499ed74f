// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "cli/abort.h"
#include "cli/check.h"
#include "cli/image_cache.h"
#include "cli/image_proxy.h"
#include "cli/keygen.h"
#include "cli/lazy_pages.h"
#include "cli/lazy_source.h"
#include "cli/migrate.h"
#include "cli/monitor.h"
#include "cli/page_server.h"
#include "cli/pre_dump.h"
#include "cli/release.h"
#include "cli/serve.h"
#include "cli/status.h"
#include "services/image_proxy.h"
#include "wire/tls_process.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} verbs[] = {
	{ "migrate", migrate_main, "move a running program to another machine" },
	{ "serve", serve_main, "take in programs that are moved here" },
	{ "keygen", keygen_main, "make the keys by which migrate and serve prove who they are" },
	{ "status", status_main, "sessions of the module; programs that were handed over and stand here" },
	{ "release", release_main, "let a program that was handed over in vain go on here" },
	{ "abort", abort_main, "settle a migration of which nobody knows how it ended" },
	{ "monitor", monitor_main, "what becomes of the module's sessions, as it happens" },
	{ "page-server", page_server_main, "take the pages of criu dump and pre-dump, in place of criu page-server" },
	{ "image-proxy", image_proxy_main, "hand the images of criu dump --stream on to another machine" },
	{ "image-cache", image_cache_main, "hold them there in memory for criu restore --stream" },
	{ "pre-dump", pre_dump_main, "write the memory of running processes, in place of criu pre-dump" },
	{ "lazy-pages", lazy_pages_main, "give criu restore --lazy-pages its memory, in place of criu lazy-pages" },
	{ "lazy-source", lazy_source_main, "give it what criu dump --lazy-pages holds, over connections that may break" },
	{ "check", check_main, "whether this machine is ready, and what helps if not" },
};

static void usage(FILE *to)
{
	fputs("Usage: migrate-helper VERB [OPTION]...\n"
	      "Move running programs between machines.\n\n", to);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(to, "  %-11s %s\n", verbs[i].name, verbs[i].text);
	fputs("\n  --help     this text; \"migrate-helper VERB --help\" for more\n"
	      "  --version\n", to);
}

/* A caller may have closed some of the first three: what is opened next would be written to as standard output, say. */
static void open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "", *action = getenv("CRTOOLS_SCRIPT_ACTION"),
		   *root = getenv("CRTOOLS_INIT_PID");

	open_standard();
	/* where a caller ignores it, the kernel reaps children, and a pid that is killed may be another process's */
	signal(SIGCHLD, SIG_DFL);
	/* CRIU runs an action script without arguments */
	if (argc == 1 && action)
		return image_proxy_confirm(getenv("CRTOOLS_IMAGE_DIR") ?: ".", action,
					   root ? atoi(root) : 0);
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return CODE_OK;
	}
	if (!strcmp(name, "--version")) {
		puts("migrate-helper " VERSION);
		return CODE_OK;
	}
	/* executed by wire/tls_link.c alone */
	if (!strcmp(name, TLS_PROCESS_VERB))
		return tls_process_main(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(name, verbs[i].name)) {
			/* program name in the messages of getopt_long() */
			argv[1] = "migrate-helper";
			return verbs[i].run(argc - 1, argv + 1);
		}
	if (*name)
		fprintf(stderr, "migrate-helper: there is no verb \"%s\"\n\n", name);
	usage(stderr);
	return CODE_USAGE;
}
