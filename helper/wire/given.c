// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "wire/given.h"

#define KEYS_HINT	"make keys with \"migrate-helper keygen\" and give both ends --tls-psk or --tls-dir; or say --insecure-fds at both if the network is yours alone"

/** struct one - a descriptor, and the option that names it */
struct one {
	const char *option;
	int fd;
	bool carries;	/* memory, or what starts programs */
};

#define ONES_MAX	(3 + GIVEN_MEM_MAX)

static size_t list(const struct given *given, struct one *ones)
{
	size_t nr = 0;

	if (given->msg >= 0)
		ones[nr++] = (struct one){ "--msgfd", given->msg, false };
	if (given->fs >= 0)
		ones[nr++] = (struct one){ "--fdfs", given->fs, false };
	if (given->rpc >= 0)
		ones[nr++] = (struct one){ "--fdrpc", given->rpc, true };
	for (size_t i = 0; i < given->nr_mem; i++)
		ones[nr++] = (struct one){ "--fdmem", given->mem[i], true };
	return nr;
}

static int check_one(const struct one *one, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(int);
	int type = 0, flags = fcntl(one->fd, F_GETFL);

	if (flags < 0)
		return error_errno(err, CODE_USAGE, "the caller has to leave it open for this process",
				   "%s %d", one->option, one->fd);
	if (getsockopt(one->fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(err, CODE_USAGE, NULL, "%s %d is no stream socket", one->option, one->fd);
	len = sizeof(addr);
	if (getpeername(one->fd, (void *)&addr, &len))
		return error_errno(err, CODE_USAGE, "the caller has to connect it",
				   "%s %d has no other end", one->option, one->fd);
	/* what waits must wait, and CRIU and the programs that it restores inherit nothing */
	if (fcntl(one->fd, F_SETFL, flags & ~O_NONBLOCK) || fcntl(one->fd, F_SETFD, FD_CLOEXEC))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot set up %s %d", one->option, one->fd);
	return 0;
}

/* Two numbers may be of one socket. */
static bool is_same(int a, int b)
{
	struct stat x, y;

	return a == b || (!fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

int given_check(const struct given *given, struct error *err)
{
	struct one ones[ONES_MAX];
	size_t nr = list(given, ones);

	if (given_has_link(given) && (given->rpc < 0 || !given->nr_mem))
		return error_set(err, CODE_USAGE, "give both", "%s is missing",
				 given->rpc < 0 ? "--fdrpc" : "--fdmem");
	if (given->nr_mem == 1)
		return error_set(err, CODE_USAGE, "give --fdmem twice, or once more than there are memory streams",
				 "one --fdmem is missing: the second one carries the pages that the program waits for, which never wait behind the others");
	for (size_t i = 0; i < nr; i++) {
		if (check_one(&ones[i], err))
			return -1;
		for (size_t j = 0; j < i; j++)
			if (is_same(ones[i].fd, ones[j].fd))
				return error_set(err, CODE_USAGE, "each needs a connection of its own",
						 "%s %d and %s %d are one socket", ones[j].option,
						 ones[j].fd, ones[i].option, ones[i].fd);
	}
	return 0;
}

/* The first of the connections that leaves this machine, or can */
static const struct one *find_tcp(const struct one *ones, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct sockaddr_storage addr;
		socklen_t len = sizeof(addr);

		if (ones[i].carries && !getsockname(ones[i].fd, (void *)&addr, &len) && addr.ss_family != AF_UNIX)
			return &ones[i];
	}
	return NULL;
}

int given_find_keys(const struct given *given, struct tls_keys *keys, const struct tls_options *opts, struct error *err)
{
	bool named = opts->psk || opts->dir || opts->allow;
	struct one ones[ONES_MAX];
	const struct one *tcp = find_tcp(ones, list(given, ones));
	char what[32];

	*keys = (struct tls_keys){ .proof = TLS_NONE };
	if (opts->insecure)
		return error_set(err, CODE_USAGE, "--insecure-fds is the word for descriptors",
				 "--insecure is for an address, and --fdrpc and --fdmem have none");
	if (given->insecure && named)
		return error_set(err, CODE_USAGE, NULL,
				 "--insecure-fds means no TLS: --tls-psk, --tls-dir and --allow cannot be had with it");
	if (given->insecure || (!tcp && !named))
		return 0;
	/* one of them may lead to a program that carries it on, so that keys that are named count for UNIX sockets too */
	snprintf(what, sizeof(what), "%s %d", tcp ? tcp->option : "--fdrpc", tcp ? tcp->fd : given->rpc);
	return tls_keys_choose(keys, opts, what, KEYS_HINT, err);
}
