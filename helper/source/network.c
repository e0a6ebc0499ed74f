// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc.h"
#include "source/network.h"
#include "source/refusals.h"

#define STATE_TIME_WAIT	6
#define STATE_CLOSE	7
#define STATE_LISTEN	10
#define MAPPED		"0000000000000000FFFF0000"	/* an IPv4 address as one of IPv6 */

bool source_network_is_own(pid_t pid)
{
	ino_t own = proc_ns(pid, "net");

	/* a process whose main thread has ended shows none */
	return own && own != proc_ns(0, "net");
}

static void end_copy(char to[48], const char *from)
{
	if (!strncmp(from, MAPPED, strlen(MAPPED)))
		from += strlen(MAPPED);
	snprintf(to, 48, "%s", from);
}

int net_ends_take(struct net_ends *ends, const char *line)
{
	char local[48], remote[48];
	struct net_end *items;
	unsigned int state;

	if (sscanf(line, " %*d: %47s %47s %x", local, remote, &state) != 3 ||
	    state == STATE_LISTEN || state == STATE_CLOSE || state == STATE_TIME_WAIT)
		return 0;
	items = reallocarray(ends->items, ends->nr + 1, sizeof(*items));
	if (!items)
		return -1;
	ends->items = items;
	end_copy(items[ends->nr].local, local);
	end_copy(items[ends->nr++].remote, remote);
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct net_end *a = left, *b = right;

	return strcmp(a->local, b->local) ?: strcmp(a->remote, b->remote);
}

const struct net_end *net_ends_find_outside(const struct net_ends *ends)
{
	if (ends->nr)
		qsort(ends->items, ends->nr, sizeof(*ends->items), compare);
	for (size_t i = 0; i < ends->nr; i++) {
		struct net_end other;

		memcpy(other.local, ends->items[i].remote, sizeof(other.local));
		memcpy(other.remote, ends->items[i].local, sizeof(other.remote));
		if (!bsearch(&other, ends->items, ends->nr, sizeof(other), compare))
			return &ends->items[i];
	}
	return NULL;
}

static int read_table(pid_t pid, const char *table, struct net_ends *ends)
{
	char path[40], line[512];
	FILE *file;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	file = fopen(path, "re");
	/* a kernel without IPv6 has no tcp6 */
	if (!file && errno != ENOENT)
		ret = -1;
	while (!ret && file && fgets(line, sizeof(line), file))
		ret = net_ends_take(ends, line);
	if (file)
		fclose(file);
	return ret;
}

static int refuse_connections(pid_t pid, struct refusals *refusals, struct error *err)
{
	struct net_ends ends = { 0 };
	int ret = read_table(pid, "tcp", &ends) || read_table(pid, "tcp6", &ends) ? -1 : 0;

	if (ret)
		error_errno(err, CODE_INTERNAL, NULL, "cannot list the connections of process %d",
			    pid);
	else if (net_ends_find_outside(&ends))
		refuse(refusals, "let the program close it",
		       "a TCP connection leads out of the program's network namespace, and only those inside of it are carried");
	free(ends.items);
	return ret;
}

static bool is_handed_on(const struct criu_config *config, const char *name)
{
	char veth[64], macvlan[64];

	snprintf(veth, sizeof(veth), "external veth[%.31s]", name);
	snprintf(macvlan, sizeof(macvlan), "external macvlan[%.31s]", name);
	for (size_t i = 0; i < config->nr; i++)
		if (!strcmp(config->options[i].text, veth) || !strcmp(config->options[i].text, macvlan))
			return true;
	return false;
}

static int refuse_interfaces(pid_t pid, const struct criu_config *config,
			     struct refusals *refusals, struct error *err)
{
	char path[40], line[512], name[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	file = fopen(path, "re");
	if (!file)
		return error_errno(err, CODE_TARGET, NULL, "cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		/* two lines of headings have no colon behind the first word */
		if (sscanf(line, " %31[^: ]:", name) != 1 || !strchr(line, ':') ||
		    strchr(line, '|') || !strcmp(name, "lo") || is_handed_on(config, name))
			continue;
		refuse(refusals, "hand it on: a line \"external veth[INTERFACE]\" in the file of --criu-config",
		       "the program's network namespace has the interface %s", name);
	}
	fclose(file);
	return 0;
}

int source_network_check(pid_t pid, const struct criu_config *config, struct error *err)
{
	struct refusals refusals = { 0 };

	if (!source_network_is_own(pid))
		return 0;
	if (refuse_interfaces(pid, config, &refusals, err) ||
	    refuse_connections(pid, &refusals, err))
		return -1;
	return refusals_end(&refusals, pid, err);
}
