// SPDX-License-Identifier: GPL-2.0
/* refuse_unix.c, refuse_sockets.c and refuse_sockopts.c, each against a child with such sockets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/refused_child.h"

static int outer[2], inner[2];
static char path[64];

static void set_pair(void)
{
	close(outer[0]);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, inner))
		_exit(1);
}

static void unix_pair(void **state)
{
	struct refusals refusals = { 0 };
	struct child child;
	char text[32];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, outer), 0);
	child_start(&child, set_pair);
	assert_int_equal(refuse_unix(&child.look, &child.files, &refusals, &child.err), 0);
	/* the child has the second one, as the parent has: the first is the parent's alone */
	assert_int_equal(refusals.nr, 1);
	snprintf(text, sizeof(text), "process %d ", getpid());
	assert_non_null(strstr(refusals.first.what, text));
	close(outer[0]);
	close(outer[1]);
	child_end(&child);
}

static int server_bound(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, name);
	unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void set_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, path);
	if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&addr, sizeof(addr)))
		_exit(1);
}

static void unix_server(void **state)
{
	struct refusals refusals = { 0 };
	struct child child;
	char text[96];
	int server, fd;

	snprintf(path, sizeof(path), "/tmp/test-refuse-%d", getpid());
	server = server_bound(path);
	child_start(&child, set_client);
	fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	/* a server that was not named is refused with the option that names it */
	assert_int_equal(refuse_unix(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 1);
	snprintf(text, sizeof(text), "--reconnect %s ", path);
	assert_non_null(strstr(refusals.first.hint, text));
	assert_int_equal(child.process.attached.reconnects.nr, 0);
	child.opts.reconnect[child.opts.nr_reconnect++] = path;
	memset(&refusals, 0, sizeof(refusals));
	surroundings_forget(&child.around);
	/* what was not read yet would be lost */
	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(refuse_unix(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(refusals.nr, 0);
	assert_int_equal(child.process.attached.reconnects.nr, 1);
	assert_string_equal(child.process.attached.reconnects.items[0].name, path);
	assert_non_null(strstr(detail(&child, LOSS_RECONNECTED), "5 bytes"));
	/* looked for again, found once */
	assert_int_equal(refuse_unix(&child.look, &child.files, &refusals, &child.err), 0);
	assert_int_equal(child.process.attached.reconnects.nr, 1);
	assert_int_equal(found(&child, LOSS_RECONNECTED), 1);
	reconnects_free(&child.process.attached.reconnects);
	close(fd);
	close(server);
	unlink(path);
	child_end(&child);
}

static int tcp_listener(struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (void *)addr, len) || listen(fd, 8) ||
	    getsockname(fd, (void *)addr, &len))
		_exit(1);
	return fd;
}

static int tcp_connect(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (void *)addr, sizeof(*addr)))
		_exit(1);
	return fd;
}

/* The other end's kernel acknowledges a FIN a moment later. */
static void wait_fin_wait2(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	for (int ms = 0; ms < 5000 && info.tcpi_state != TCP_FIN_WAIT2; ms++) {
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
			_exit(1);
		usleep(1000);
	}
}

/* One established pair, one half closed, one reset, two that are not accepted. */
static void set_sockets(void)
{
	struct linger linger = { .l_onoff = 1 };
	struct sockaddr_in addr;
	int listener = tcp_listener(&addr), fd;

	tcp_connect(&addr);
	accept(listener, NULL, NULL);
	fd = tcp_connect(&addr);
	shutdown(fd, SHUT_WR);
	accept(listener, NULL, NULL);
	wait_fin_wait2(fd);
	tcp_connect(&addr);
	fd = accept(listener, NULL, NULL);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	tcp_connect(&addr);
	tcp_connect(&addr);
	/* refused: it was never connected */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_port = htons(1);
	if (!connect(fd, (void *)&addr, sizeof(addr)))
		_exit(1);
}

static void sockets(void **state)
{
	struct child child;

	child_start(&child, set_sockets);
	assert_int_equal(refuse_sockets(&child.look, &child.files, &child.err), 0);
	assert_string_equal(detail(&child, LOSS_TCP_CONNECTIONS),
			    "4 ESTABLISHED, 1 FIN_WAIT2, 1 CLOSE_WAIT, 1 reset");
	assert_string_equal(detail(&child, LOSS_IN_FLIGHT), "2");
	assert_int_equal(found(&child, LOSS_DATAGRAMS), 0);
	assert_int_equal(refuse_sockopts(&child.look, &child.files, &child.err), 0);
	assert_int_equal(found(&child, LOSS_SOCKET_OPTIONS), 0);
	child_end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unix_pair),
		cmocka_unit_test(unix_server),
		cmocka_unit_test(sockets),
	};

	/* make and shells leave pipes open */
	close_range(3, ~0U, 0);
	/* a session from outside of the PID namespace, as in a container, is refused; this fails for who leads a group */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
