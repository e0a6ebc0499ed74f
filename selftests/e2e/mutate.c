// SPDX-License-Identifier: GPL-2.0
/*
 * A source that breaks the rules of the protocol.
 *	mutate HOST:PORT IMAGES valid		one valid session
 *	mutate HOST:PORT IMAGES SESSIONS SEED	many invalid ones
 * IMAGES: the folder of a dump of mutate_target. Exit status 1: serve did not answer.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "mutate.h"

#define PATIENCE_MS		400	/* what did not come by then was not going to */
#define PATIENCE_VALID_MS	60000
#define MUTATIONS		3	/* most in one session */
#define OTHER_EACH		10	/* sessions, in one of which another has to be served */
#define OTHER_CALLS		300	/* more than a queue of connections holds */

static struct program program;

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15UL + 1;
}

uint32_t random_below(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) % limit;
}

static void swap(struct script *script, size_t a, size_t b)
{
	struct step step = script->steps[a];

	script->steps[a] = script->steps[b];
	script->steps[b] = step;
}

/* Move the last step, which was just added, to @at. */
static void insert(struct script *script, size_t at)
{
	for (size_t i = script->nr - 1; i > at; i--)
		swap(script, i, i - 1);
}

static void value(struct script *script, size_t at)
{
	struct step *step = &script->steps[at];
	static const uint64_t values[] = { 0, 1, 0x7f, 0xff, 0x7fffffff, 0x80000000, ~0U, ~0UL };
	size_t width = 1 << random_below(4);

	/* lengths and numbers are at the start */
	if (step->size >= 24 + width)
		memcpy(step->data + random_below(random_below(2) ? 24 : step->size - width),
		       &values[random_below(8)], width);
}

static void flip(struct script *script, size_t at)
{
	struct step *step = &script->steps[at];

	for (uint32_t i = 0; i <= random_below(4) && step->size; i++)
		step->data[random_below(step->size)] ^= 1 << random_below(8);
}

static void noise(struct script *script, size_t at)
{
	uint8_t bytes[256];
	size_t size = 1 + random_below(sizeof(bytes));

	for (size_t i = 0; i < size; i++)
		bytes[i] = random_below(256);
	script_add(script, STEP_SEND, random_below(CONNS), 0, bytes, size);
	insert(script, at);
}

/* More connections: of this migration, of one that is not there, or of strangers. */
static void more_calls(struct script *script, size_t at)
{
	static const uint32_t numbers[] = { 1, 5, 40, 300 };
	const struct step *first = &script->steps[0];
	struct conn_preamble pre = { .magic = 0 };

	if (first->kind != STEP_SEND || first->size < sizeof(pre))
		return;
	memcpy(&pre, first->data, sizeof(pre));
	pre.kind = CONN_CONTROL + random_below(3);
	if (!random_below(3))
		pre.id[0] ^= 1;
	if (!random_below(3))
		pre.version ^= 2;
	script_add(script, STEP_CALL, CONTROL, numbers[random_below(4)], &pre,
		   random_below(4) ? sizeof(pre) : random_below(sizeof(pre)));
	insert(script, at);
}

static void shorten(struct script *script, size_t at)
{
	struct step *step = &script->steps[at];

	step->size = step->size ? random_below(step->size) : 0;
}

static void leave_out(struct script *script, size_t at)
{
	free(script->steps[at].data);
	memmove(&script->steps[at], &script->steps[at + 1],
		(--script->nr - at) * sizeof(*script->steps));
}

static void repeat(struct script *script, size_t at)
{
	struct step step = script->steps[at];

	script_add(script, step.kind, step.conn, step.what, step.data, step.size);
	insert(script, random_below(script->nr));
}

static void reorder(struct script *script, size_t at)
{
	swap(script, at, random_below(script->nr));
}

static void cut(struct script *script, size_t at)
{
	script_add(script, STEP_CLOSE, random_below(CONNS), random_below(2), NULL, 0);
	insert(script, at);
}

static void trickle(struct script *script, size_t at)
{
	if (script->steps[at].kind == STEP_SEND)
		script->steps[at].kind = STEP_TRICKLE;
}

static void misdirect(struct script *script, size_t at)
{
	script->steps[at].conn = random_below(CONNS);
}

const char *script_mutate(struct script *script)
{
	static const struct {
		const char *name;
		void (*apply)(struct script *script, size_t at);
	} mutations[] = {
		{ "flip", flip }, { "value", value }, { "shorter", shorten },
		{ "left out", leave_out }, { "again", repeat }, { "out of order", reorder },
		{ "cut", cut }, { "cut", cut }, { "more connections", more_calls },
		{ "trickle", trickle }, { "noise", noise }, { "another connection", misdirect },
	};
	uint32_t nr = random_below(sizeof(mutations) / sizeof(*mutations));

	mutations[nr].apply(script, random_below(script->nr));
	return mutations[nr].name;
}

/* What was restored after a COMMIT is a program of its own, which nobody else would end. */
static void kill_programs(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], comm[32];

	while (proc && (entry = readdir(proc))) {
		int fd;
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
		if (fd >= 0)
			close(fd);
		comm[n > 0 ? n : 0] = 0;
		if (!strcmp(comm, "mutate_target\n"))
			kill(atoi(entry->d_name), SIGKILL);
	}
	if (proc)
		closedir(proc);
}

static int valid(const char *where)
{
	struct script script = { .nr = 0 };
	struct outcome outcome;

	random_seed(time(NULL) ^ getpid());
	script_write(&script, &program, TWIST_NONE);
	outcome = script_play(&script, where, NULL, PATIENCE_VALID_MS);
	script_free(&script);
	if (outcome.connected && !outcome.missed)
		return 0;
	if (outcome.missed)
		warnx("serve did not send message %u", outcome.missed);
	else
		warnx("serve takes no connection");
	return 1;
}

/* After a step that is sent; half of the time behind connections that nobody waits for. */
static void add_other(struct script *script)
{
	size_t at = random_below(script->nr);
	struct conn_preamble pre;

	script_add(script, STEP_OTHER, CONTROL, 0, NULL, 0);
	insert(script, at);
	if (random_below(2) || script->steps[0].size < sizeof(pre))
		return;
	memcpy(&pre, script->steps[0].data, sizeof(pre));
	pre.kind = CONN_MEMORY;
	script_add(script, STEP_CALL, CONTROL, OTHER_CALLS, &pre, sizeof(pre));
	insert(script, at);
}

static void mutated(const char *where, uint64_t seed)
{
	struct script script = { .nr = 0 };
	struct outcome outcome;
	enum twist twist;

	random_seed(seed);
	twist = random_below(3) ? TWIST_NONE : random_below(TWISTS);
	script_write(&script, &program, twist);
	printf("session %lu: twist %d", seed, twist);
	for (uint32_t i = twist != TWIST_NONE; i <= random_below(MUTATIONS); i++)
		printf(", %s", script_mutate(&script));
	if (!(seed % OTHER_EACH)) {
		printf(", beside another");
		add_other(&script);
	}
	fflush(stdout);
	outcome = script_play(&script, where, valid, PATIENCE_MS);
	printf(": %s%u\n", outcome.missed ? "no message " : "all came, ", outcome.missed);
	script_free(&script);
	if (outcome.commit)
		kill_programs();
	if (!outcome.connected)
		errx(1, "serve takes no connection");
	if (!outcome.other_served)
		errx(1, "serve has no time for others in session %lu", seed);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc < 4)
		errx(2, "usage: mutate HOST:PORT IMAGES valid | mutate HOST:PORT IMAGES SESSIONS SEED");
	program_read(&program, argv[2]);
	if (!strcmp(argv[3], "valid"))
		return valid(argv[1]);
	for (uint64_t i = 0; i < strtoul(argv[3], NULL, 10); i++)
		mutated(argv[1], strtoul(argc > 4 ? argv[4] : "1", NULL, 10) + i);
	return 0;
}
