// SPDX-License-Identifier: GPL-2.0
/*
 * Callers at the door of `serve`, which send their preambles piece by piece. Input: chunks; the
 * low bits of the first byte name the caller that sends the rest, and an empty rest hangs up.
 */
#include <string.h>
#include <unistd.h>
#include "dest/door.h"
#include "fuzz/common.h"

#define CALLERS	4

static void look(struct door *door)
{
	static const uint8_t zero[sizeof(((struct conn_preamble *)0)->pad)];
	struct pollfd fds[1 + DOOR_CALLERS];

	door_poll(door, fds);
	if (poll(fds, 1 + DOOR_CALLERS, 0) < 0)
		return;
	door_step(door, fds);
	for (int i = 0; i < CALLERS; i++) {
		const struct conn_preamble *pre = &door->callers[i].preamble;

		fuzz_assert(door->callers[i].got <= sizeof(*pre));
		if (door->callers[i].conn.fd < 0 || door->callers[i].got < sizeof(*pre))
			continue;
		fuzz_assert(pre->magic == CONN_MAGIC && pre->version == 1);
		fuzz_assert(pre->streams >= 1 && pre->streams <= STREAMS_MAX && pre->index < pre->streams);
		fuzz_assert(pre->kind == CONN_MEMORY || !pre->index);
		fuzz_assert(pre->kind >= CONN_CONTROL && pre->kind <= CONN_URGENT);
		fuzz_assert(!memcmp(pre->pad, zero, sizeof(zero)));
	}
}

static void say(struct door *door, struct fuzz_pipe *pipes, struct fuzz_input *in)
{
	struct fuzz_input word = fuzz_take(in, fuzz_byte(in));
	struct fuzz_pipe *pipe = &pipes[fuzz_byte(&word) % CALLERS];

	if (!word.size && pipe->far >= 0)
		fuzz_pipe_end(pipe);
	else if (pipe->far >= 0)
		fuzz_pipe_put(pipe, word.data, word.size);
	look(door);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_pipe pipes[CALLERS];
	int fds = fuzz_fds();
	static struct door door;

	memset(&door, 0, sizeof(door));
	door.listener.fd = -1;
	for (int i = 0; i < DOOR_CALLERS; i++)
		door.callers[i].conn.fd = -1;
	for (int i = 0; i < CALLERS; i++) {
		pipes[i] = fuzz_pipe_open();
		door.callers[i].conn.fd = pipes[i].fd;
		door.callers[i].deadline_ms = INT64_MAX;
		strcpy(door.callers[i].peer, "a caller");
	}
	while (in.size)
		say(&door, pipes, &in);
	for (int i = 0; i < CALLERS; i++)
		if (pipes[i].far >= 0)
			fuzz_pipe_end(&pipes[i]);
	/* as often as a caller is heard out: what is left of his words, then his end */
	for (int i = 0; i < 3; i++)
		look(&door);
	for (int i = 0; i < CALLERS; i++)
		if (door.callers[i].conn.fd >= 0)
			close(door.callers[i].conn.fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
