// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "os/proc_files.h"
#include "source/journal.h"

#define STATE_DIR	"/run/systemd/journal/streams"
#define PRIORITY	6	/* LOG_INFO, systemd's default */

/* The state file escapes unusual bytes with "\"; a name with such bytes is left out. */
static void take_text(char *to, size_t bytes, const char *value)
{
	if (*value && !strchr(value, '\\') && strlen(value) < bytes)
		strcpy(to, value);
}

static void take_line(struct journal_stream *stream, const char *key, const char *value)
{
	const struct {
		const char *key;
		unsigned int *to;
	} numbers[] = {
		{ "PRIORITY", &stream->priority }, { "LEVEL_PREFIX", &stream->level_prefix },
		{ "FORWARD_TO_SYSLOG", &stream->syslog }, { "FORWARD_TO_KMSG", &stream->kmsg },
		{ "FORWARD_TO_CONSOLE", &stream->console },
	};

	if (!strcmp(key, "IDENTIFIER"))
		take_text(stream->identifier, sizeof(stream->identifier), value);
	if (!strcmp(key, "UNIT"))
		take_text(stream->unit, sizeof(stream->unit), value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i].key) && *value >= '0' && *value <= '9')
			*numbers[i].to = strtoul(value, NULL, 10);
}

void journal_state_read(FILE *file, struct journal_stream *stream)
{
	char line[512], *value;

	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		value = strchr(line, '=');
		if (!value || line[0] == '#')
			continue;
		*value++ = 0;
		take_line(stream, line, value);
	}
}

/* The journal takes the unit from the kernel, or from the header when the kernel names none. */
static void find_unit(pid_t pid, char *unit, size_t bytes)
{
	char path[32], line[1024], *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		at = strrchr(line, '/');
		if (at && strlen(at) > 9 && !strcmp(at + strlen(at) - 8, ".service") &&
		    strlen(at + 1) < bytes)
			strcpy(unit, at + 1);
	}
	if (file)
		fclose(file);
}

static void find_state(pid_t pid, int fd, uint32_t peer, struct journal_stream *stream)
{
	char path[128];
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st))
		return;
	/* the kernel keeps all sockets on one file system: the journal's end has the same device */
	snprintf(path, sizeof(path), STATE_DIR "/%lu:%u", (unsigned long)st.st_dev, peer);
	file = fopen(path, "re");
	if (!file)
		return;
	journal_state_read(file, stream);
	fclose(file);
}

char *journal_header(pid_t pid, int fd, uint32_t peer)
{
	struct journal_stream stream = { .priority = PRIORITY, .level_prefix = 1 };
	char *header;

	proc_comm(pid, stream.identifier);
	find_unit(pid, stream.unit, sizeof(stream.unit));
	find_state(pid, fd, peer, &stream);
	if (asprintf(&header, "%s\n%s\n%u\n%u\n%u\n%u\n%u\n", stream.identifier, stream.unit,
		     stream.priority, stream.level_prefix, stream.syslog, stream.kmsg,
		     stream.console) < 0)
		return NULL;
	return header;
}
