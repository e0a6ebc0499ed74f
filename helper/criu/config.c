// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "criu/config.h"

#define BOTH	(CRIU_END_DUMP | CRIU_END_RESTORE)

/**
 * struct criu_option_kind - an option of CRIU's
 * @value: what follows it, for messages; NULL: nothing
 * @ends: which CRIU gets it; 0: none
 * @free: a source may ask for it, and the destination's file need not have it
 * @why: why it is refused
 */
struct criu_option_kind {
	const char *name, *value;
	unsigned int ends;
	bool free;
	const char *why;
};

static const char ours[] = "migrate-helper says that to CRIU itself";
static const char images[] = "migrate-helper carries CRIU's images itself";
static const char groups[] = "migrate-helper carries the control group itself";
static const char both_run[] = "the program would run at both ends, or at none";
static const char connections[] = "use --tcp";

static const struct criu_option_kind kinds[] = {
	{ "ext-unix-sk", .ends = BOTH, .free = true },
	{ "link-remap", .ends = CRIU_END_DUMP, .free = true },
	{ "ghost-limit", "a size", .ends = CRIU_END_DUMP, .free = true },
	{ "ghost-fiemap", .ends = CRIU_END_DUMP, .free = true },
	{ "force-irmap", .ends = CRIU_END_DUMP, .free = true },
	{ "irmap-scan-path", "a path", .ends = CRIU_END_DUMP, .free = true },
	{ "evasive-devices", .ends = CRIU_END_DUMP, .free = true },
	{ "enable-external-sharing", .ends = BOTH, .free = true },
	{ "enable-external-masters", .ends = BOTH, .free = true },
	{ "skip-mnt", "a mount point", .ends = CRIU_END_DUMP, .free = true },
	{ "allow-uprobes", .ends = BOTH, .free = true },
	{ "mntns-compat-mode", .ends = CRIU_END_RESTORE, .free = true },
	{ "weak-sysctls", .ends = CRIU_END_RESTORE, .free = true },
	{ "file-validation", "a method", .ends = BOTH, .free = true },
	{ "skip-file-rwx-check", .ends = CRIU_END_RESTORE, .free = true },
	{ "empty-ns", "net", .ends = BOTH, .free = true },
	/* with it CRIU mounts any file system that the images name, by options of theirs */
	{ "enable-fs", "names of file systems", .ends = BOTH },
	{ "external", "KIND[...]", .ends = BOTH },
	{ "lsm-profile", "TYPE:NAME", .ends = CRIU_END_RESTORE },
	{ "lsm-mount-context", "a context", .ends = CRIU_END_RESTORE },
	{ "leave-running", .why = both_run },
	{ "leave-stopped", .why = both_run },
	{ "restore-detached", .why = ours }, { "restore-sibling", .why = ours },
	{ "exec-cmd", .why = ours }, { "tree", .why = ours }, { "shell-job", .why = ours },
	{ "file-locks", .why = ours }, { "pidfile", .why = ours }, { "status-fd", .why = ours },
	{ "log-file", .why = ours }, { "log-pid", .why = ours }, { "libdir", .why = ours },
	{ "verbosity", .why = "use --criu-log-level" }, { "display-stats", .why = ours },
	{ "config", .why = ours }, { "no-default-config", .why = ours }, { "close", .why = ours },
	{ "daemon", .why = ours }, { "unprivileged", .why = ours }, { "inherit-fd", .why = ours },
	{ "root", .why = ours }, { "join-ns", .why = ours },
	{ "timeout", .why = "use --max-frozen" },
	{ "cpu-cap", .why = "the CPUs of both machines are compared in any case" },
	{ "action-script", .why = "the hand-over hangs on CRIU's notifications" },
	{ "images-dir", .why = images }, { "work-dir", .why = images },
	{ "prev-images-dir", .why = images }, { "parent-path", .why = images },
	{ "stream", .why = images }, { "auto-dedup", .why = images },
	{ "track-mem", .why = images }, { "pre-dump-mode", .why = images },
	{ "page-server", .why = images }, { "lazy-pages", .why = images },
	{ "address", .why = images }, { "port", .why = images }, { "ps-socket", .why = images },
	{ "tls", .why = images }, { "tls-cacert", .why = images }, { "tls-cacrl", .why = images },
	{ "tls-cert", .why = images }, { "tls-key", .why = images },
	{ "tls-no-cn-verify", .why = images },
	{ "tcp-established", .why = connections }, { "tcp-close", .why = connections },
	{ "skip-in-flight", .why = connections }, { "network-lock", .why = connections },
	{ "freeze-cgroup", .why = groups }, { "manage-cgroups", .why = groups },
	{ "cgroup-root", .why = groups }, { "cgroup-props", .why = groups },
	{ "cgroup-props-file", .why = groups }, { "cgroup-dump-controller", .why = groups },
	{ "cgroup-yard", .why = groups },
	{ "ext-mount-map", .why = "use external mnt[...]" },
	{ "veth-pair", .why = "use external veth[...]" },
};

/**
 * struct external_kind - a kind of object that is not the program's
 * @dumps: the dump has to know it, and gives it a name; else the destination's CRIU alone
 * @why: why it is refused
 */
static const struct external_kind {
	const char *name;
	bool dumps;
	const char *why;
} externals[] = {
	{ "mnt", .dumps = true }, { "dev", .dumps = true },
	{ "net", .why = "no network namespace of the destination can be given to CRIU" },
	{ .name = "veth" }, { .name = "macvlan" },
	{ "unix", .why = "use --reconnect" }, { "tty", .why = "use --replace-tty" },
	{ "file", .why = "use --shared-storage" },
	{ "pid", .why = "no descriptor can be given to CRIU at the destination" },
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static const struct criu_option_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/** struct external - "KIND[KEY]:VALUE" in parts */
struct external {
	const struct external_kind *kind;
	char key[CRIU_OPTION_BYTES], value[CRIU_OPTION_BYTES];
};

static int split_external(const char *text, struct external *external, struct error *err)
{
	size_t name = strcspn(text, "["), key;

	memset(external, 0, sizeof(*external));
	for (size_t i = 0; i < COUNT(externals); i++)
		if (strlen(externals[i].name) == name && !memcmp(externals[i].name, text, name))
			external->kind = &externals[i];
	if (!external->kind || !text[name])
		return error_set(err, CODE_USAGE, NULL, "external %s is of no kind that is known",
				 text);
	if (external->kind->why)
		return error_set(err, CODE_USAGE, NULL, "external %s cannot be handed on: %s", text,
				 external->kind->why);
	text += name + 1;
	key = strcspn(text, "]");
	if (!text[key] || (text[key + 1] && text[key + 1] != ':'))
		return error_set(err, CODE_USAGE, NULL, "external %s[%s should have the form %s[KEY]:VALUE",
				 external->kind->name, text, external->kind->name);
	memcpy(external->key, text, key);
	if (text[key + 1])
		strcpy(external->value, text + key + 2);
	return 0;
}

/* The end that does not know a path must not be able to name it. */
static int check_external(const char *text, enum criu_end at, struct error *err)
{
	struct external external;
	const char *name;

	if (split_external(text, &external, err))
		return -1;
	name = external.kind->name;
	/* CRIU finds those mounts itself */
	if (!strcmp(name, "mnt") && !*external.key)
		return error_set(err, CODE_USAGE, NULL,
				 "external mnt[] cannot be handed on: migrate-helper says that to CRIU itself");
	if (!*external.key)
		return error_set(err, CODE_USAGE, NULL, "external %s[] names nothing", name);
	if (at == CRIU_END_RESTORE ? !*external.value :
				     !!*external.value != external.kind->dumps)
		return error_set(err, CODE_USAGE, NULL, at == CRIU_END_RESTORE || external.kind->dumps ?
				 "external %s[%s] should be followed by :VALUE" :
				 "external %s[%s] is followed by :VALUE at the destination alone (serve --criu-config)",
				 name, external.key);
	if (at == CRIU_END_RESTORE && strcmp(name, "veth") && strcmp(name, "macvlan") &&
	    *external.value != '/')
		return error_set(err, CODE_USAGE, NULL, "external %s[%s] should be followed by a path here",
				 name, external.key);
	if (at == CRIU_END_DUMP && !strcmp(name, "mnt") && *external.key != '/')
		return error_set(err, CODE_USAGE, "serve --criu-config maps names to paths",
				 "external mnt[%s] should have a mount point of the program between the brackets",
				 external.key);
	return 0;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("\"'\\#", *text))
			return false;
	return true;
}

static int check_value(const struct criu_option_kind *kind, const char *value, enum criu_end at,
		       struct error *err)
{
	if (kind->why)
		return error_set(err, CODE_USAGE, NULL, "option %s of CRIU cannot be handed on: %s",
				 kind->name, kind->why);
	if (!kind->value && *value)
		return error_set(err, CODE_USAGE, NULL, "option %s of CRIU takes no value", kind->name);
	if (kind->value && (!*value || !is_plain(value)))
		return error_set(err, CODE_USAGE, NULL,
				 "option %s of CRIU should be followed by %s, without spaces, quotes and #",
				 kind->name, kind->value);
	if (!strcmp(kind->name, "empty-ns") && strcmp(value, "net"))
		return error_set(err, CODE_USAGE, NULL, "option empty-ns of CRIU should be followed by net");
	return strcmp(kind->name, "external") ? 0 : check_external(value, at, err);
}

/* "  name   value  # comment": @value points into @text. Return: -1: it is too long */
static int split_line(const char *line, char text[CRIU_OPTION_BYTES], char **value)
{
	size_t bytes = strcspn(line, "#\n"), name;

	while (bytes && strchr(" \t\r", line[bytes - 1]))
		bytes--;
	while (bytes && strchr(" \t", *line)) {
		line++;
		bytes--;
	}
	if (bytes >= CRIU_OPTION_BYTES)
		return -1;
	memcpy(text, line, bytes);
	text[bytes] = 0;
	name = strcspn(text, " \t");
	*value = text + name;
	if (!text[name])
		return 0;
	*(*value)++ = 0;
	*value += strspn(*value, " \t");
	return 0;
}

static int add(struct criu_config *config, const struct criu_option_kind *kind, const char *value,
	       struct error *err)
{
	struct criu_option *option = &config->options[config->nr];

	if (config->nr == CRIU_OPTIONS_MAX)
		return error_set(err, CODE_USAGE, NULL, "there are more than %d options of CRIU",
				 CRIU_OPTIONS_MAX);
	option->kind = kind;
	if (snprintf(option->text, sizeof(option->text), *value ? "%s %s" : "%s", kind->name,
		     value) >= CRIU_OPTION_BYTES)
		return error_set(err, CODE_USAGE, NULL, "option %s of CRIU is too long", kind->name);
	config->nr++;
	return 0;
}

int criu_config_add(struct criu_config *config, const char *line, enum criu_end at,
		    struct error *err)
{
	char text[CRIU_OPTION_BYTES], clean[CRIU_OPTION_BYTES], *value;
	const struct criu_option_kind *kind;

	if (split_line(line, text, &value))
		return error_set(err, CODE_USAGE, NULL, "an option of CRIU has more than %d characters",
				 CRIU_OPTION_BYTES - 1);
	if (!*text)
		return 0;
	kind = find_kind(text);
	text_printable(clean, sizeof(clean), text);
	if (!kind)
		return error_set(err, CODE_USAGE, "the man page lists those that are (--criu-config)",
				 "option %s of CRIU is none that can be handed on", clean);
	return check_value(kind, value, at, err) || add(config, kind, value, err) ? -1 : 0;
}

static int read_lines(struct criu_config *config, FILE *from, const char *file, enum criu_end at,
		      struct error *err)
{
	char *line = NULL;
	size_t room = 0;
	int nr = 0, ret = 0;

	while (!ret && getline(&line, &room, from) >= 0) {
		struct error why = { 0 };

		nr++;
		ret = criu_config_add(config, line, at, &why);
		if (ret)
			error_set(err, why.code, *why.hint ? why.hint : NULL, "%s, line %d: %s", file,
				  nr, why.what);
	}
	free(line);
	if (!ret && ferror(from))
		ret = error_errno(err, CODE_USAGE, NULL, "cannot read %s", file);
	return ret;
}

int criu_config_read(struct criu_config *config, const char *file, enum criu_end at,
		     struct error *err)
{
	FILE *from = file ? fopen(file, "re") : NULL;
	int ret;

	config->nr = 0;
	if (!file)
		return 0;
	if (!from)
		return error_errno(err, CODE_USAGE, NULL, "cannot open %s", file);
	ret = read_lines(config, from, file, at, err);
	fclose(from);
	return ret;
}

/* Of an option "external KIND[KEY]:VALUE" the part that the destination has to know. */
static void ask_external(const char *text, char asked[CRIU_OPTION_BYTES])
{
	struct external external;
	struct error never = { 0 };

	split_external(text + strlen("external "), &external, &never);
	snprintf(asked, CRIU_OPTION_BYTES, "external %s[%.240s]", external.kind->name,
		 external.kind->dumps ? external.value : external.key);
}

bool criu_config_ask(const struct criu_option *option, char asked[CRIU_OPTION_BYTES])
{
	if (!(option->kind->ends & CRIU_END_RESTORE))
		return false;
	if (!strcmp(option->kind->name, "external"))
		ask_external(option->text, asked);
	else
		strcpy(asked, option->text);
	return true;
}

/* Return: the option of this destination's file that does what is asked for */
static const struct criu_option *find_here(const struct criu_config *here, const char *asked,
					   bool external)
{
	size_t bytes = strlen(asked);

	for (size_t i = 0; i < here->nr; i++)
		if (external ? !strncmp(here->options[i].text, asked, bytes) &&
			       here->options[i].text[bytes] == ':' :
			       !strcmp(here->options[i].text, asked))
			return &here->options[i];
	return NULL;
}

int criu_config_grant(const struct criu_config *here, const char *asked,
		      struct criu_config *granted, struct error *err)
{
	char text[CRIU_OPTION_BYTES], clean[CRIU_OPTION_BYTES], whole[CRIU_OPTION_BYTES + 1], *value;
	const struct criu_option_kind *kind;
	const struct criu_option *mine;
	bool external;

	kind = split_line(asked, text, &value) || !*text ? NULL : find_kind(text);
	text_printable(clean, sizeof(clean), asked);
	external = kind && !strcmp(kind->name, "external");
	if (!kind || !(kind->ends & CRIU_END_RESTORE) ||
	    (!external && check_value(kind, value, CRIU_END_DUMP, &(struct error){ 0 })))
		return error_set(err, CODE_REFUSED, NULL, "CRIU here is not given the option %s: it is none that can be handed on",
				 clean);
	if (kind->free)
		return add(granted, kind, value, err);
	snprintf(whole, sizeof(whole), "%s %s", kind->name, value);
	mine = find_here(here, whole, external);
	if (mine)
		return add(granted, kind, strchr(mine->text, ' ') + 1, err);
	return error_set(err, CODE_REFUSED, NULL, "CRIU here is not given the option %s: %s it in the file of serve --criu-config",
			 clean, external ? "map" : "allow");
}

/* Return: the value of the option external when that end is to have it */
static char *external_for(const struct criu_option *option, enum criu_end end)
{
	char *value = (char *)option->text + strlen("external ");
	struct error never = { 0 };
	struct external external;

	if (!(option->kind->ends & end) || strcmp(option->kind->name, "external"))
		return NULL;
	split_external(value, &external, &never);
	return end == CRIU_END_RESTORE || external.kind->dumps ? value : NULL;
}

/* As CRIU reads it. */
static uint64_t read_size(const char *text)
{
	unsigned int shift = strchr(text, 'K') ? 10 : strchr(text, 'M') ? 20 : strchr(text, 'G') ? 30 : 0;

	return strtoull(text, NULL, 10) << shift;
}

uint64_t criu_config_ghost_bytes(const struct criu_config *config)
{
	static const char name[] = "ghost-limit ";
	uint64_t bytes = CRIU_GHOST_BYTES_MAX;

	/* CRIU takes the last one */
	for (size_t i = 0; config && i < config->nr; i++)
		if (!strncmp(config->options[i].text, name, strlen(name)))
			bytes = read_size(config->options[i].text + strlen(name));
	return bytes;
}

char *criu_config_text(const struct criu_config *config, enum criu_end end)
{
	char *text = malloc((size_t)CRIU_OPTIONS_MAX * (CRIU_OPTION_BYTES + 1) + 1), *at = text;

	if (!text)
		return NULL;
	*text = 0;
	for (size_t i = 0; config && i < config->nr; i++)
		if ((config->options[i].kind->ends & end) &&
		    strcmp(config->options[i].kind->name, "external"))
			at += sprintf(at, "%s\n", config->options[i].text);
	return text;
}

char **criu_config_externals(const struct criu_config *config, enum criu_end end, char *const *others,
			     size_t *nr)
{
	char **all = calloc(CRIU_OPTIONS_MAX + *nr + 1, sizeof(*all));
	size_t nr_others = *nr;

	if (!all)
		return NULL;
	*nr = 0;
	for (size_t i = 0; config && i < config->nr; i++) {
		char *value = external_for(&config->options[i], end);

		if (value)
			all[(*nr)++] = value;
	}
	for (size_t i = 0; i < nr_others; i++)
		all[(*nr)++] = others[i];
	return all;
}
