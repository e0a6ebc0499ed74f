// SPDX-License-Identifier: GPL-2.0
/*
 * SEND writes to connected TCP sockets and AF_UNIX streams, and refuses all others: in-place
 * crypto over spliced pages has been exploited elsewhere, and here the pages are another task's
 * memory. For kTLS see ktls.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_alg.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

#define PAGES	64
#define SEED	12UL

static struct target target;
static struct svm svm;
static unsigned long mapped;

/* SEND to @fd, which is closed. Not a page may go out when it is refused. */
static void sock_test_fd(int fd, int want, const char *name)
{
	struct splice_vm_info before, after;
	__u32 flags = 0;

	svm_info(svm.fd, &before);
	ksft_test_value(svm_send_one(svm.fd, fd, mapped, PAGES, &flags), want,
			"SEND to %s\n", name);
	svm_info(svm.fd, &after);
	ksft_test_value(after.pages_sent - before.pages_sent, 0,
			"nothing went to %s\n", name);
	ksft_test_value(after.pages_inflight, 0, "nothing is held for %s\n",
			name);
	if (fd >= 0)
		close(fd);
}

/* A kernel without this kind of socket would prove nothing. */
static int sock_make(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd < 0)
		ksft_print_msg("socket(%d, %d, %d): %m\n", family, type,
			       protocol);
	return fd;
}

static void sock_test_family(int family, int type, int protocol,
			     const char *name)
{
	int fd = sock_make(family, type, protocol);

	if (!ksft_test_result(fd >= 0, "this guest has %s\n", name))
		return;
	sock_test_fd(fd, -EOPNOTSUPP, name);
}

static int sock_connected_udp(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = sock_make(AF_INET, SOCK_DGRAM, 0);

	ksft_must(fd >= 0 && !connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

static int sock_alg(void)
{
	struct sockaddr_alg addr = {
		.salg_family = AF_ALG,
		.salg_type = "hash",
		.salg_name = "sha256",
	};
	int op, fd = sock_make(AF_ALG, SOCK_SEQPACKET, 0);

	if (fd < 0)
		return fd;
	ksft_must(!bind(fd, (void *)&addr, sizeof(addr)));
	op = accept(fd, NULL, NULL);
	close(fd);
	return op;
}

static void sock_test_others(void)
{
	int pair[2];

	sys_modprobe("-a vsock vsock_loopback af_alg algif_hash");
	sock_test_fd(sock_connected_udp(), -EOPNOTSUPP, "UDP");
	sock_test_family(AF_INET6, SOCK_DGRAM, 0, "UDP over IPv6");
	sock_test_family(AF_INET, SOCK_RAW, IPPROTO_ICMP, "a raw socket");
	sock_test_family(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP");
	sock_test_family(AF_NETLINK, SOCK_RAW, 0, "netlink");
	sock_test_family(AF_PACKET, SOCK_RAW, 0, "a packet socket");
	sock_test_family(AF_VSOCK, SOCK_STREAM, 0, "vsock");
	sock_test_fd(sock_alg(), -EOPNOTSUPP, "AF_ALG");
	ksft_must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	close(pair[1]);
	sock_test_fd(pair[0], -EOPNOTSUPP, "AF_UNIX datagrams");
	ksft_must(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	close(pair[1]);
	sock_test_fd(pair[0], -EOPNOTSUPP, "AF_UNIX packets");
	ksft_must(!pipe(pair));
	close(pair[0]);
	sock_test_fd(pair[1], -ENOTSOCK, "a pipe");
	sock_test_fd(svm_open_device(), -ENOTSOCK, "a session");
	sock_test_fd(-1, -EBADF, "-1");
	sock_test_fd(9999, -EBADF, "a closed descriptor");
}

/* A dead peer may show only after a first SEND. Return: what it said in the end */
static long sock_send_until(int fd)
{
	long ret = 0;
	int i;

	for (i = 0; i < 10 && ret >= 0; i++) {
		ret = svm_send_one(svm.fd, fd, mapped, PAGES, NULL);
		sys_sleep_us(20000);
	}
	close(fd);
	return ret;
}

/* SIGPIPE would end this program. */
static void sock_test_dead(void)
{
	int pair[2], fd;
	long ret;

	fd = sock_make(AF_INET, SOCK_STREAM, 0);
	sock_test_fd(fd, -EPIPE, "TCP, not connected");
	fd = sock_make(AF_INET, SOCK_STREAM, 0);
	ksft_must(!listen(fd, 1));
	sock_test_fd(fd, -ENOTCONN, "TCP, listening");
	sock_test_fd(sock_make(AF_UNIX, SOCK_STREAM, 0), -ENOTCONN,
		     "AF_UNIX, not connected");
	net_unix_pair(pair);
	close(pair[1]);
	ksft_test_value(sock_send_until(pair[0]), -EPIPE,
			"SEND to AF_UNIX, closed peer\n");
	net_tcp_pair(pair);
	close(pair[1]);
	ret = sock_send_until(pair[0]);
	ksft_test_result(ret == -EPIPE || ret == -ECONNRESET,
			 "SEND to TCP, closed peer: %ld\n", ret);
	net_tcp_pair(pair);
	ksft_must(!shutdown(pair[0], SHUT_WR));
	sock_test_fd(pair[0], -EPIPE, "TCP, shut down");
	close(pair[1]);
	net_unix_pair(pair);
	ksft_must(!shutdown(pair[0], SHUT_WR));
	sock_test_fd(pair[0], -EPIPE, "AF_UNIX, shut down");
	close(pair[1]);
}

/* The same call with sockets that are allowed. */
static void sock_test_control(void)
{
	size_t i;
	int pair[2];

	for (i = 0; i < ARRAY_SIZE(net_kinds); i++) {
		struct net_sink sink;

		net_kinds[i].pair(pair);
		net_sink_start(&sink, pair[1], (PAGES + 1) * PAGE_SIZE);
		ksft_test_value(svm_send_one(svm.fd, pair[0], mapped, PAGES,
					     NULL), PAGES,
				"control: SEND to %s\n", net_kinds[i].name);
		close(pair[0]);
		net_sink_join(&sink);
		net_sink_free(&sink);
		close(pair[1]);
	}
}

int main(void)
{
	ksft_print_header();
	target_start(&target);
	mapped = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, PAGES * PAGE_SIZE, SEED);
	svm_open(&svm, target.pid, false);
	sock_test_others();
	sock_test_dead();
	sock_test_control();
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
