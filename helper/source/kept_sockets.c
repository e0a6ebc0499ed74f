// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/kept_sockets.h"
#include "source/refusals.h"

#define STATE_CLOSE	7	/* of tcp_info */
#define STATE_LISTEN	10

/** struct end - one end of a connection */
struct end {
	struct net_address address;
	in_port_t port;
};

/** struct connection - of descriptor @fd of process @pid; @has_peer: false: it is being opened (SYN_SENT) */
struct connection {
	pid_t pid;
	int fd;
	bool has_peer;
	struct end local, peer;
};

/**
 * struct look - at all TCP sockets of the program
 * @addresses: of SETUP
 * @frozen: no address is added any more
 */
struct look {
	struct connection *items;
	size_t nr;
	struct net_addresses *addresses;
	struct refusals refusals;
	bool frozen;
};

static bool end_of(const struct sockaddr_storage *name, struct end *end)
{
	/* sockaddr_in6 has its port in the same place */
	end->port = ((const struct sockaddr_in *)name)->sin_port;
	return net_address_of(name, &end->address);
}

static bool end_equals(const struct end *one, const struct end *two)
{
	return one->port == two->port && net_address_equals(&one->address, &two->address);
}

static int add_connection(struct look *look, const struct connection *connection, struct error *err)
{
	struct connection *items = look->items;

	if (!(look->nr & (look->nr - 1)))
		items = reallocarray(items, look->nr ? 2 * look->nr : 1, sizeof(*items));
	if (!items)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of connections");
	look->items = items;
	items[look->nr++] = *connection;
	return 0;
}

static void add_address(struct look *look, const struct connection *connection)
{
	const struct net_address *address = &connection->local.address;

	if (net_addresses_have(look->addresses, address))
		return;
	if (look->frozen)
		refuse(&look->refusals, "migrate again",
		       "descriptor %d of process %d is a connection from %s, from which there was none in SETUP",
		       connection->fd, connection->pid, net_address_name(address).text);
	else if (net_addresses_add(look->addresses, address))
		refuse(&look->refusals, "--tcp close closes the connections",
		       "the program has connections from more than %d addresses", NET_ADDRESSES_MAX);
}

/* A server that has no connection at the moment is reached at the address that it listens on. */
static void take_listener(struct look *look, const struct connection *listener)
{
	const struct net_address *address = &listener->local.address;

	if (!look->frozen && !net_address_is_any(address) && !net_address_is_loopback(address))
		add_address(look, listener);
}

/* The kernel encrypts it: CRIU does not carry the keys. */
static bool has_upper_protocol(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) && len && *name;
}

static int take_socket(struct look *look, const struct proc_file *file, int fd, struct error *err)
{
	struct connection connection = { .pid = file->pid, .fd = file->fd };
	struct sockaddr_storage local = { 0 }, peer = { 0 };
	socklen_t len = sizeof(local), peer_len = sizeof(peer);
	struct tcp_info info = { 0 };
	socklen_t info_len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) ||
	    info.tcpi_state == STATE_CLOSE || getsockname(fd, (struct sockaddr *)&local, &len) ||
	    !end_of(&local, &connection.local))
		return 0;
	if (info.tcpi_state == STATE_LISTEN) {
		take_listener(look, &connection);
		return 0;
	}
	connection.has_peer = !getpeername(fd, (struct sockaddr *)&peer, &peer_len) &&
			      end_of(&peer, &connection.peer);
	if (has_upper_protocol(fd))
		refuse(&look->refusals, "--tcp close closes it",
		       "descriptor %d of process %d is a connection that the kernel encrypts",
		       file->fd, file->pid);
	return add_connection(look, &connection, err);
}

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	int fd, ret;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	fd = proc_fd_get(file->pid, file->fd);
	if (fd < 0)
		return 0;
	ret = take_socket(ctx, file, fd, err);
	close(fd);
	return ret;
}

static bool has_other_end(const struct look *look, const struct connection *connection)
{
	for (size_t i = 0; i < look->nr; i++)
		if (look->items[i].has_peer &&
		    end_equals(&look->items[i].local, &connection->peer) &&
		    end_equals(&look->items[i].peer, &connection->local))
			return true;
	return false;
}

static void judge(struct look *look, const struct connection *connection)
{
	const struct net_address *local = &connection->local.address;
	const uint8_t *bytes = local->bytes;

	if (net_address_is_loopback(local))
		refuse(&look->refusals, "--tcp close closes it",
		       "descriptor %d of process %d is a connection over the loopback interface (%s), which does not move",
		       connection->fd, connection->pid, net_address_name(local).text);
	else if (local->len == sizeof(struct in6_addr) && IN6_IS_ADDR_LINKLOCAL((struct in6_addr *)bytes))
		refuse(&look->refusals, "--tcp close closes it",
		       "descriptor %d of process %d is a connection from %s, an address of this machine's own interface",
		       connection->fd, connection->pid, net_address_name(local).text);
	else
		add_address(look, connection);
}

/* A peer on this machine has the address that moves away from it. */
static void judge_peer(struct look *look, const struct connection *connection)
{
	if (connection->has_peer &&
	    net_addresses_have(look->addresses, &connection->peer.address) &&
	    !has_other_end(look, connection))
		refuse(&look->refusals, "--tcp close closes it",
		       "descriptor %d of process %d is a connection to another program at %s, which moves away from it",
		       connection->fd, connection->pid,
		       net_address_name(&connection->peer.address).text);
}

static int look_at_all(struct look *look, const struct tree *tree, struct error *err)
{
	struct source_process *process;

	tree_for_each(tree, process) {
		struct proc_files files;
		int ret;

		if (proc_files_read(process->pid, &files, err)) {
			if (tree_forgive(tree, process, err))
				continue;
			return -1;
		}
		ret = proc_files_each(&files, take_file, look, err);
		proc_files_free(&files);
		if (ret)
			return -1;
	}
	for (size_t i = 0; i < look->nr; i++)
		judge(look, &look->items[i]);
	for (size_t i = 0; i < look->nr; i++)
		judge_peer(look, &look->items[i]);
	return refusals_end(&look->refusals, tree_root(tree)->pid, err);
}

int kept_sockets_find(const struct tree *tree, struct net_addresses *addresses, struct error *err)
{
	struct look look = { .addresses = addresses };
	int ret = look_at_all(&look, tree, err);

	free(look.items);
	return ret;
}

int kept_sockets_check(const struct tree *tree, const struct net_addresses *addresses,
		       struct error *err)
{
	struct net_addresses copy = *addresses;
	struct look look = { .addresses = &copy, .frozen = true };
	int ret = look_at_all(&look, tree, err);

	free(look.items);
	return ret;
}
