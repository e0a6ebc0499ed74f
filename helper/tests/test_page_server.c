// SPDX-License-Identifier: GPL-2.0
/* The page server as a process: how it ends, whom it counts, and how many it lets in. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "services/page_server.h"
#include "tests/fake_dump.h"
#include "tests/test_dir.h"

struct bench {
	struct test_dir dir;
	struct page_server_options opts;
	pid_t pid;
	FILE *said;
	char line[1024];
	int port;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	dir_make(&bench->dir);
	bench->opts = (struct page_server_options){
		.images_dir = bench->dir.path, .address = "127.0.0.1", .status_fd = -1,
		.ps_socket = -1, .json = true,
	};
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	if (bench->pid > 0) {
		kill(bench->pid, SIGKILL);
		waitpid(bench->pid, NULL, 0);
	}
	if (bench->said)
		fclose(bench->said);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

/* Read lines of the server up to one with @event. */
static void hear(struct bench *bench, const char *event)
{
	char want[64];

	snprintf(want, sizeof(want), "\"event\":\"%s\"", event);
	do
		assert_non_null(fgets(bench->line, sizeof(bench->line), bench->said));
	while (!strstr(bench->line, want));
}

static void start(struct bench *bench)
{
	int fds[2];
	const char *port;

	assert_int_equal(pipe(fds), 0);
	bench->pid = fork();
	assert_true(bench->pid >= 0);
	if (!bench->pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		report_init(true);
		_exit(page_server_run(&bench->opts));
	}
	close(fds[1]);
	bench->said = fdopen(fds[0], "r");
	if (bench->opts.ps_socket >= 0)
		return;
	hear(bench, "listening");
	port = strstr(bench->line, "\"port\":");
	assert_non_null(port);
	bench->port = atoi(port + strlen("\"port\":"));
}

static struct fake_dump call(struct bench *bench)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(bench->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct fake_dump sender = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	assert_int_equal(connect(sender.fd, (void *)&addr, sizeof(addr)), 0);
	return sender;
}

static void dump(struct fake_dump *sender, pid_t pid)
{
	say(sender, CMD_OPEN2, 0, 0, 0, PAGES_OF(pid));
	expect(sender, "\0", 1);
	say(sender, CMD_ADD, 0, 4, 1, PAGES_OF(pid));
	say_page(sender, 'a');
	say(sender, CMD_CLOSE, 0, 0, 0, 0);
	expect(sender, "\0\0\0\0", 4);
	close(sender->fd);
}

static int ends(struct bench *bench)
{
	int status;

	assert_int_equal(waitpid(bench->pid, &status, 0), bench->pid);
	bench->pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A stranger before the dump is not the one. */
static void server_test_once(void **state)
{
	struct bench *bench = *state;
	struct fake_dump sender;

	bench->opts.once = true;
	start(bench);
	sender = call(bench);
	assert_int_equal(send(sender.fd, "GET / HTTP/1.1\r\nHost: a\r\n", 25, 0), 25);
	expect_end(&sender);
	close(sender.fd);
	hear(bench, "stranger");
	sender = call(bench);
	dump(&sender, 77);
	assert_int_equal(ends(bench), CODE_OK);
	hear(bench, "complete");
	assert_non_null(strstr(bench->line, "\"pages\":1,\"bytes\":4096"));
}

static void server_test_once_fails(void **state)
{
	struct bench *bench = *state;
	struct fake_dump sender;

	bench->opts.once = true;
	start(bench);
	sender = call(bench);
	say(&sender, CMD_OPEN2, 0, 0, 0, PAGES_OF(77));
	expect(&sender, "\0", 1);
	close(sender.fd);
	assert_int_equal(ends(bench), CODE_NETWORK);
	hear(bench, "failed");
	hear(bench, "result");
	assert_non_null(strstr(bench->line, "\"class\":\"network\""));
}

static void server_test_signal(void **state)
{
	struct bench *bench = *state;
	struct fake_dump sender, other;

	start(bench);
	sender = call(bench);
	dump(&sender, 77);
	hear(bench, "complete");
	other = call(bench);
	say(&other, CMD_OPEN2, 0, 0, 0, PAGES_OF(78));
	expect(&other, "\0", 1);
	kill(bench->pid, SIGTERM);
	/* one was cut */
	assert_int_equal(ends(bench), CODE_ABORTED);
	expect_end(&other);
	close(other.fd);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-77.img", F_OK, 0), 0);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-78.img.part", F_OK, 0), -1);
}

static void server_test_signal_idle(void **state)
{
	struct bench *bench = *state;
	struct fake_dump sender;

	start(bench);
	sender = call(bench);
	dump(&sender, 77);
	hear(bench, "complete");
	kill(bench->pid, SIGINT);
	assert_int_equal(ends(bench), CODE_OK);
}

/* One caller more than there are places waits until another has ended. */
static void server_test_places(void **state)
{
	struct fake_dump senders[PAGE_SERVER_CONNECTIONS], one_more;
	struct bench *bench = *state;

	start(bench);
	for (int i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		senders[i] = call(bench);
		say(&senders[i], CMD_OPEN2, 0, 0, 0, PAGES_OF(100 + i));
		expect(&senders[i], "\0", 1);
	}
	one_more = call(bench);
	say(&one_more, CMD_OPEN2, 0, 0, 0, PAGES_OF(99));
	for (int i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		uint8_t byte;

		if (!i)
			assert_int_equal(recv(one_more.fd, &byte, 1, MSG_DONTWAIT), -1);
		say(&senders[i], CMD_CLOSE, 0, 0, 0, 0);
		expect(&senders[i], "\0\0\0\0", 4);
		close(senders[i].fd);
	}
	expect(&one_more, "\0", 1);
	say(&one_more, CMD_CLOSE, 0, 0, 0, 0);
	expect(&one_more, "\0\0\0\0", 4);
	close(one_more.fd);
	kill(bench->pid, SIGTERM);
	assert_int_equal(ends(bench), CODE_OK);
	hear(bench, "result");
	assert_non_null(strstr(bench->line, "\"images\":65,"));
}

/* All places are taken by senders of whom the first but one has said nothing for long: it goes, and no other. */
static void server_test_silent(void **state)
{
	struct fake_dump senders[PAGE_SERVER_CONNECTIONS], one_more;
	struct bench *bench = *state;

	bench->opts.silent_ms = 600;
	start(bench);
	for (int i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		senders[i] = call(bench);
		say(&senders[i], CMD_OPEN2, 0, 0, 0, PAGES_OF(100 + i));
		expect(&senders[i], "\0", 1);
	}
	/* silence alone is no reason */
	usleep(2500 * 1000);
	for (int i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		if (i == 1)
			continue;
		say(&senders[i], CMD_ADD, 0, 4, 1, PAGES_OF(100 + i));
		say_page(&senders[i], 'a');
	}
	one_more = call(bench);
	dump(&one_more, 99);
	hear(bench, "failed");
	assert_non_null(strstr(bench->line, "silent for too long"));
	for (int i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		if (i != 1) {
			say(&senders[i], CMD_CLOSE, 0, 0, 0, 0);
			expect(&senders[i], "\0\0\0\0", 4);
		}
		close(senders[i].fd);
	}
	kill(bench->pid, SIGTERM);
	assert_int_equal(ends(bench), CODE_OK);
	hear(bench, "result");
	assert_non_null(strstr(bench->line, "\"images\":64,"));
	assert_non_null(strstr(bench->line, "\"failed\":1,"));
}

/* The sender's connection is reset before it has read the answer to CLOSE: told, since its dump fails. */
static void server_test_unconfirmed(void **state)
{
	struct linger reset = { .l_onoff = 1 };
	struct bench *bench = *state;
	struct fake_dump sender;

	start(bench);
	sender = call(bench);
	dump(&sender, 99);
	hear(bench, "complete");
	assert_non_null(strstr(bench->line, "\"confirmed\":true"));
	sender = call(bench);
	say(&sender, CMD_OPEN2, 0, 0, 0, PAGES_OF(100));
	expect(&sender, "\0", 1);
	say(&sender, CMD_CLOSE, 0, 0, 0, 0);
	usleep(200 * 1000);
	setsockopt(sender.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(sender.fd);
	hear(bench, "complete");
	assert_non_null(strstr(bench->line, "\"confirmed\":false"));
	assert_non_null(strstr(bench->line, "before you restore"));
}

/* Time of the processor, in ms */
static uint64_t used_ms(const struct bench *bench)
{
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(bench->pid, &clock), 0);
	return clock_ns(clock) / CLOCK_NS_PER_MS;
}

/* A caller that cannot be accepted waits; the server does not spin meanwhile. */
static void server_test_descriptors(void **state)
{
	const struct rlimit none = { 3, 4096 }, many = { 4096, 4096 };
	struct bench *bench = *state;
	struct fake_dump sender;
	uint64_t before;

	bench->opts.once = true;
	start(bench);
	assert_int_equal(prlimit(bench->pid, RLIMIT_NOFILE, &none, NULL), 0);
	before = used_ms(bench);
	sender = call(bench);
	usleep(600000);
	assert_in_range(used_ms(bench) - before, 0, 60);
	assert_int_equal(prlimit(bench->pid, RLIMIT_NOFILE, &many, NULL), 0);
	dump(&sender, 77);
	assert_int_equal(ends(bench), CODE_OK);
}

static void server_test_socket(void **state)
{
	struct bench *bench = *state;
	struct fake_dump sender;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	sender.fd = pair[0];
	sender.wide = false;
	bench->opts.ps_socket = pair[1];
	start(bench);
	dump(&sender, 77);
	assert_int_equal(ends(bench), CODE_OK);
	close(pair[1]);
}

static void server_test_refused(void **state)
{
	struct bench *bench = *state;

	bench->opts.images_dir = "/proc/none";
	bench->opts.ps_socket = 0;
	start(bench);
	assert_int_equal(ends(bench), CODE_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(server_test_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_once_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_signal_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_unconfirmed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_test_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
