// SPDX-License-Identifier: GPL-2.0
/*
 * A manager, written from Documentation/operations.rst ("Driven by a manager") alone.
 * Usage: manager SYNC COMMAND...: runs COMMAND --msgfd N. The shell runs SYNC when files are to be moved: what it prints
 * is how many bytes moved, and its exit status whether they did. The outcome goes to standard output.
 */
#include <endian.h>
#include <err.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum phaul_type { ERROR, SYNCFS, SUCCESS, UNSUP };

#define MESSAGE_BYTES	65536

/** struct phaul - a message; @text is not 0-terminated */
struct phaul {
	uint64_t type, bytes, text_bytes;
	const uint8_t *text;
};

static uint64_t get_number(const uint8_t **at, const uint8_t *end)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	errx(2, "a number that does not end");
}

static size_t put_number(uint8_t *at, uint64_t value)
{
	size_t bytes = 0;

	for (; value > 0x7f; value >>= 7)
		at[bytes++] = (value & 0x7f) | 0x80;
	at[bytes++] = value;
	return bytes;
}

static void read_all(int fd, void *buf, size_t bytes)
{
	if (bytes && recv(fd, buf, bytes, MSG_WAITALL) != (ssize_t)bytes)
		errx(2, "no outcome");
}

static void next_message(int fd, uint8_t *buf, struct phaul *msg)
{
	const uint8_t *at = buf, *end;
	uint32_t length;

	read_all(fd, &length, sizeof(length));
	length = le32toh(length);
	if (length > MESSAGE_BYTES)
		errx(2, "a message of %u bytes", length);
	read_all(fd, buf, length);
	memset(msg, 0, sizeof(*msg));
	for (end = buf + length; at < end;) {
		uint64_t tag = get_number(&at, end), value = get_number(&at, end);

		if (tag == (1 << 3)) {
			msg->type = value;
		} else if (tag == (3 << 3)) {
			msg->bytes = value;
		} else if (tag == (2 << 3 | 2) && value <= (uint64_t)(end - at)) {
			msg->text = at;
			msg->text_bytes = value;
			at += value;
		} else {
			errx(2, "field %" PRIu64, tag >> 3);
		}
	}
}

static void answer(int fd, enum phaul_type type, const char *text, uint64_t bytes)
{
	uint8_t buf[256];
	size_t at = sizeof(uint32_t);

	buf[at++] = 1 << 3;
	buf[at++] = type;
	buf[at++] = 3 << 3;
	at += put_number(buf + at, bytes);
	if (*text) {
		buf[at++] = 2 << 3 | 2;
		buf[at++] = strlen(text);
		memcpy(buf + at, text, strlen(text));
		at += strlen(text);
	}
	memcpy(buf, &(uint32_t){ htole32(at - sizeof(uint32_t)) }, sizeof(uint32_t));
	if (write(fd, buf, at) != (ssize_t)at)
		err(2, "cannot answer");
}

static void sync_files(int fd, const char *command)
{
	FILE *output = popen(command, "r");
	uint64_t bytes = 0;

	if (!output)
		err(2, "cannot run %s", command);
	if (fscanf(output, "%" SCNu64, &bytes) != 1)
		bytes = 0;
	if (pclose(output))
		answer(fd, ERROR, "the command that moves files failed", 0);
	else
		answer(fd, SUCCESS, "", bytes);
}

static pid_t start(int fd, int other, char **command, int words)
{
	char **argv = calloc(words + 3, sizeof(*argv)), number[16];
	pid_t pid;

	memcpy(argv, command, words * sizeof(*argv));
	snprintf(number, sizeof(number), "%d", fd);
	argv[words] = "--msgfd";
	argv[words + 1] = number;
	pid = fork();
	if (!pid) {
		close(other);
		execvp(argv[0], argv);
		err(2, "%s", argv[0]);
	}
	free(argv);
	return pid;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "ERROR", "SYNCFS", "SUCCESS", "UNSUP" };
	static uint8_t buf[MESSAGE_BYTES];
	struct phaul msg;
	int pair[2], status;
	pid_t pid;

	if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		errx(2, "usage: manager SYNC COMMAND...");
	pid = start(pair[1], pair[0], argv + 2, argc - 2);
	close(pair[1]);
	for (;;) {
		next_message(pair[0], buf, &msg);
		if (msg.type != SYNCFS)
			break;
		sync_files(pair[0], argv[1]);
	}
	printf("%s %.*s\n", msg.type > UNSUP ? "?" : names[msg.type], (int)msg.text_bytes, (const char *)msg.text);
	fflush(stdout);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
