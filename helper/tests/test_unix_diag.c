// SPDX-License-Identifier: GPL-2.0
/* Sockets that the kernel lists: unix sockets, and netlink sockets with an answer that nobody has read. */
#define _GNU_SOURCE
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/netlink_sockets.h"
#include "os/unix_diag.h"

/** struct look - @ino: the socket that is looked for */
struct look {
	ino_t ino;
	int found;
	struct unix_sock sock;
	char name[32];
};

static void take(void *ctx, const struct unix_sock *sock)
{
	struct look *look = ctx;

	if (sock->ino != look->ino)
		return;
	look->found++;
	look->sock = *sock;
	memcpy(look->name, sock->name ?: "", sock->name_bytes < 32 ? sock->name_bytes : 31);
}

static struct look look_for(int fd, pid_t pid)
{
	struct look look = { 0 };
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	look.ino = st.st_ino;
	if (pid ? unix_diag_walk_in(pid, take, &look) : unix_diag_walk(take, &look))
		skip();
	assert_int_equal(look.found, 1);
	return look;
}

static void a_pair_knows_its_other_end(void **state)
{
	struct stat other;
	struct look look;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fstat(pair[1], &other), 0);
	assert_int_equal(write(pair[1], "12345", 5), 5);
	look = look_for(pair[0], 0);
	assert_int_equal(look.sock.peer, other.st_ino);
	assert_int_equal(look.sock.type, SOCK_SEQPACKET);
	assert_false(look.sock.listens);
	assert_true(look.sock.unread >= 5);
	close(pair[0]);
	close(pair[1]);
}

/* In the network namespace of another process, which is ours here. Needs root. */
static void a_server_has_a_name(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "\0test-unix-diag" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct look look;

	assert_int_equal(bind(fd, (void *)&addr, sizeof(sa_family_t) + 15), 0);
	assert_int_equal(listen(fd, 3), 0);
	look = look_for(fd, getpid());
	assert_true(look.sock.listens);
	assert_int_equal(look.sock.name_bytes, 15);
	assert_memory_equal(look.name, addr.sun_path, 15);
	assert_int_equal(look.sock.file_ino, 0);
	close(fd);
}

static bool is_unread(int fd)
{
	struct error err = { 0 };
	unsigned long *inodes;
	bool found = false;
	struct stat st;
	size_t nr;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(netlink_sockets_unread(getpid(), &inodes, &nr, &err), 0);
	for (size_t i = 0; i < nr; i++)
		found |= inodes[i] == st.st_ino;
	free(inodes);
	return found;
}

static void an_answer_that_waits_is_seen(void **state)
{
	struct { struct nlmsghdr head; struct ifinfomsg info; } ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[65536];

	assert_false(is_unread(fd));
	assert_int_equal(send(fd, &ask, sizeof(ask), 0), sizeof(ask));
	assert_true(is_unread(fd));
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	assert_false(is_unread(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_knows_its_other_end), cmocka_unit_test(a_server_has_a_name),
		cmocka_unit_test(an_answer_that_waits_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
