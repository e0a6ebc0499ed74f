// SPDX-License-Identifier: GPL-2.0
/* CRIU's log, which names files of the program, as people and managers are told of it. Input: the log. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "base/text.h"
#include "criu/words.h"
#include "fuzz/common.h"
#include "session/outcome.h"

static void check_line(const char *line)
{
	char *text = strdup(line);
	size_t before = strlen(line), after;
	bool any;

	fuzz_assert(text);
	any = criu_words_clean(text);
	after = strlen(text);
	fuzz_assert(any == (after > 0) && after <= before);
	fuzz_assert(!after || !strchr(" .,;\n", text[after - 1]));
	free(text);
}

static void check_log(char *log)
{
	char clean[TEXT_MAX], *state;

	for (char *line = strtok_r(log, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		text_printable(clean, sizeof(clean), line);
		fuzz_assert(!strcmp(clean, line));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msgfd manager = { .fd = -1 };
	struct outcome_report outcome = { .msgfd = &manager };
	int before = fuzz_dir() >= 0 ? fuzz_fds() : 0, fd;
	char *line = strndup((const char *)data, size);

	fuzz_assert(line);
	check_line(line);
	free(line);
	fd = openat(fuzz_dir(), "dump.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fuzz_assert(fd >= 0 && !io_write_all(fd, data, size));
	close(fd);
	outcome_take_log(&outcome, fuzz_dir(), "dump.log");
	fuzz_assert(!size || outcome.log);
	if (outcome.log)
		check_log(outcome.log);
	outcome_free(&outcome);
	fuzz_assert(fuzz_fds() == before);
	return 0;
}
