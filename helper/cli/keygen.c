// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "cli/keygen.h"
#include "cli/options.h"
#include "wire/keygen.h"
#include "wire/tls_keys.h"

#define HOSTS_MAX	64
#define DAYS_MAX	36500
#define DEFAULT_DAYS	365
#define DEFAULT_NAME	"migrate"

/** struct keygen_options - of the command line */
struct keygen_options {
	const char *psk, *name, *ca, *hosts[HOSTS_MAX];
	size_t nr_hosts;
	unsigned long days;
	bool json;
};

static const char *take_psk(void *ctx, char *value)
{
	return options_path(value, &((struct keygen_options *)ctx)->psk);
}

static const char *take_ca(void *ctx, char *value)
{
	return options_path(value, &((struct keygen_options *)ctx)->ca);
}

static const char *take_host(void *ctx, char *value)
{
	struct keygen_options *opts = ctx;

	if (opts->nr_hosts == HOSTS_MAX)
		return "one of at most 64 hosts";
	opts->hosts[opts->nr_hosts++] = value;
	return *value ? NULL : "names and addresses, as node1,10.0.0.1";
}

static const char *take_days(void *ctx, char *value)
{
	return options_number(value, 1, DAYS_MAX, &((struct keygen_options *)ctx)->days);
}

static const struct cli_option options[] = {
	{ "psk", "FILE", "make a pre-shared key: copy FILE to the other machine as well", .take = take_psk },
	{ "name", "NAME", "with --psk: the key's name, for serve --allow (" DEFAULT_NAME ")",
	  .word = offsetof(struct keygen_options, name) },
	{ "ca", "DIR",
	  "the authority in DIR, which is made if there is none. Its key\n"
	  "never leaves this machine", .take = take_ca },
	{ "host", "NAME[,NAME]...",
	  "with --ca: make DIR/NAME for the machine with these names and\n"
	  "addresses: copy it there as " TLS_DEFAULT_DIR ";\n"
	  "can be said several times", .take = take_host, .many = true },
	{ "days", "N", "with --ca: for which the certificates are valid (365; 1 to 36500)", .take = take_days },
	{ "json", .text = "errors as JSON objects", .flag = offsetof(struct keygen_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"keygen", "--psk FILE | --ca DIR --host NAME... [OPTION]...",
	"Make the keys by which the two ends of a migration prove who they are.", options,
};

static int make_all(const struct keygen_options *opts, struct error *err)
{
	if (opts->psk)
		return keygen_psk(opts->psk, opts->name ?: DEFAULT_NAME, err);
	for (size_t i = 0; i < opts->nr_hosts; i++)
		if (keygen_host(opts->ca, opts->hosts[i], opts->days, err))
			return -1;
	return 0;
}

int keygen_main(int argc, char **argv)
{
	struct keygen_options opts = { .days = DEFAULT_DAYS };
	int code = options_parse(&verb, argc, argv, &opts);
	struct error err = { 0 };

	if (code >= 0)
		return code;
	if (!opts.psk == !opts.ca)
		return options_wrong(&verb, opts.psk ? "--psk and --ca exclude each other" :
				     "--psk or --ca is missing");
	if (!opts.ca != !opts.nr_hosts)
		return options_wrong(&verb, opts.ca ? "--host is missing" : "--host is for --ca");
	if (opts.name && !opts.psk)
		return options_wrong(&verb, "--name is for --psk");
	report_init(opts.json);
	if (!make_all(&opts, &err))
		return CODE_OK;
	report_error(&err);
	return err.code;
}
