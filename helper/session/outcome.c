// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/report.h"
#include "session/outcome.h"

#define LOG_BYTES	4096	/* of a log: some 50 lines */
#define SAY_MS		5000	/* for a manager that does not read */

/* The lines may be foreign text: CRIU names files of the program. @raw: ends with 0 */
static char *printable_lines(char *raw)
{
	char line[TEXT_MAX], *text = NULL, *at, *state;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	for (at = strtok_r(raw, "\n", &state); at; at = strtok_r(NULL, "\n", &state)) {
		text_printable(line, sizeof(line), at);
		fprintf(to, "%s\n", line);
	}
	fclose(to);
	return text;
}

void outcome_take_log(struct outcome_report *outcome, int dir_fd, const char *name)
{
	int fd = outcome->msgfd && !outcome->log ? openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	char raw[LOG_BYTES + 1], *line = raw;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		st.st_size = 0;
	n = pread(fd, raw, LOG_BYTES, st.st_size > LOG_BYTES ? st.st_size - LOG_BYTES : 0);
	close(fd);
	if (n <= 0)
		return;
	raw[n] = 0;
	/* a part of a line says little */
	if (st.st_size > LOG_BYTES)
		line = strchr(raw, '\n') ?: raw;
	outcome->log = printable_lines(line);
}

static void say_error(const struct outcome_report *outcome, const struct error *err, struct error *why)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s%s%s%s", err->what, *err->hint ? "\n" : "", err->hint,
		     outcome->log ? "\nCRIU's log ends with:\n" : "", outcome->log ?: "") < 0)
		text = NULL;
	msgfd_send(outcome->msgfd, PHAUL_TYPE__ERROR, text ?: err->what, SAY_MS, why);
	free(text);
}

void outcome_say(struct outcome_report *outcome, const struct error *err)
{
	struct error why = { 0 };

	if (!outcome->msgfd || !msgfd_is_open(outcome->msgfd) || atomic_exchange(&outcome->said, true))
		return;
	if (err->code == CODE_OK)
		msgfd_send(outcome->msgfd, PHAUL_TYPE__SUCCESS, NULL, SAY_MS, &why);
	else
		say_error(outcome, err, &why);
	if (error_is_set(&why))
		report_say("the manager does not know the outcome: %s", why.what);
}

void outcome_free(struct outcome_report *outcome)
{
	free(outcome->log);
	outcome->log = NULL;
}
