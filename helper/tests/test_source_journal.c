// SPDX-License-Identifier: GPL-2.0
/* Unix sockets that are connected anew: the name of the server, the header of the journal. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/journal.h"
#include "source/reconnect.h"

static void read_state(const char *text, struct journal_stream *stream)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");

	assert_non_null(file);
	journal_state_read(file, stream);
	fclose(file);
}

static void state_file(void **state)
{
	struct journal_stream stream = { .priority = 6, .identifier = "comm", .unit = "a.service" };

	read_state("# This is private data. Do not parse\nPRIORITY=3\nLEVEL_PREFIX=0\n"
		   "FORWARD_TO_SYSLOG=1\nFORWARD_TO_KMSG=x\nFORWARD_TO_CONSOLE=1\nSTREAM_ID=9\n"
		   "IDENTIFIER=my prog\nUNIT=b.service\nno such line\n", &stream);
	assert_string_equal(stream.identifier, "my prog");
	assert_string_equal(stream.unit, "b.service");
	assert_int_equal(stream.priority, 3);
	assert_int_equal(stream.syslog, 1);
	assert_int_equal(stream.kmsg, 0);
	assert_int_equal(stream.console, 1);
	/* escaped, empty and too long: what was known before is as good */
	read_state("IDENTIFIER=a\\nb\nUNIT=\n", &stream);
	assert_string_equal(stream.identifier, "my prog");
	assert_string_equal(stream.unit, "b.service");
}

static void header(void **state)
{
	char comm[32], want[64], *got = journal_header(getpid(), 0, 1);
	FILE *file = fopen("/proc/self/comm", "r");
	int lines = 0;

	assert_non_null(fgets(comm, sizeof(comm), file));
	fclose(file);
	snprintf(want, sizeof(want), "%s", comm);
	assert_non_null(got);
	assert_int_equal(strncmp(got, want, strlen(want)), 0);
	for (const char *at = got; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 7);
	assert_non_null(strstr(got, "\n6\n1\n0\n0\n0\n"));
	free(got);
}

/* A server as the kernel tells it; its file is at @path. */
static struct unix_sock server_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct unix_sock sock = { .type = SOCK_STREAM, .name = path, .name_bytes = strlen(path) };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	strcpy(addr.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(stat(path, &st), 0);
	sock.file_ino = st.st_ino;
	close(fd);
	return sock;
}

static void names(void **state)
{
	char path[64], name[RECONNECT_NAME_BYTES];
	struct unix_sock sock;

	snprintf(path, sizeof(path), "/tmp/test-journal-%d", getpid());
	sock = server_at(path);
	assert_true(reconnect_name(&sock, name));
	assert_string_equal(name, path);
	/* another server took the name */
	sock.file_ino++;
	assert_false(reconnect_name(&sock, name));
	sock.file_ino--;
	unlink(path);
	assert_false(reconnect_name(&sock, name));
	sock = (struct unix_sock){ .name = "relative", .name_bytes = 8 };
	assert_false(reconnect_name(&sock, name));
	sock = (struct unix_sock){ .name_bytes = 0 };
	assert_false(reconnect_name(&sock, name));
	sock = (struct unix_sock){ .name = "\0abstract", .name_bytes = 9 };
	assert_true(reconnect_name(&sock, name));
	assert_string_equal(name, "@abstract");
	sock = (struct unix_sock){ .name = "\0abs\0ract", .name_bytes = 9 };
	assert_false(reconnect_name(&sock, name));
}

static void logs(void **state)
{
	assert_true(reconnect_is_log("/run/systemd/journal/stdout"));
	assert_true(reconnect_is_log("/dev/log"));
	assert_false(reconnect_is_log("/run/dbus/system_bus_socket"));
	assert_false(reconnect_is_log(""));
}

static void messages(void **state)
{
	struct reconnect items[] = {
		{ .ino = 1, .fd = 3, .type = SOCK_DGRAM, .name = "/dev/log" },
		{ .ino = 2, .fd = 4, .type = SOCK_DGRAM, .name = "/dev/log" },
		{ .ino = 3, .fd = 1, .type = SOCK_STREAM, .name = JOURNAL_STDOUT },
	};
	struct reconnect_message msg = { 0 };
	struct reconnects all = { 0 };
	struct sockets begun = { 0 };
	struct error err = { 0 };

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(reconnects_add(&all, &items[i], &err), 0);
	assert_int_equal(reconnects_servers(&all, &msg, &err), 0);
	/* each server once */
	assert_int_equal(msg.nr_servers, 2);
	assert_string_equal(msg.servers[0].name, "/dev/log");
	assert_int_equal(reconnects_streams(&all, getpid(), &begun, &msg, &err), 0);
	assert_int_equal(msg.nr_streams, 1);
	assert_int_equal(msg.streams[0].fd, 1);
	assert_int_equal(begun.nr, 1);
	free(begun.inos);
	reconnect_message_free(&msg);
	while (all.nr < RECONNECTS_MAX)
		assert_int_equal(reconnects_add(&all, &items[0], &err), 0);
	assert_int_equal(reconnects_add(&all, &items[0], &err), -1);
	reconnects_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_file),
		cmocka_unit_test(header),
		cmocka_unit_test(names),
		cmocka_unit_test(logs),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
