/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one look at a program asks of all processes of the machine: who holds a pipe, a socket, shared
 * memory. Each list is made when the look first asks for it, by one walk for the whole tree.
 *
 * The lists are as old as the first question. A program that runs may have opened something since: before a
 * program is refused for what a list says, the caller forgets the lists, and asks again.
 */
#ifndef MIGRATE_SOURCE_SURROUNDINGS_H
#define MIGRATE_SOURCE_SURROUNDINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "os/inet_sockets.h"
#include "source/reconnect.h"
#include "source/tree.h"

/** enum holder_list - SHARED: deleted files and shared memory, open or mapped */
enum holder_list { HOLDER_PIPES, HOLDER_FIFOS, HOLDER_SOCKETS, HOLDER_SHARED, HOLDER_LISTS };

/** enum holder_place - of a process, seen from the program; ENDED: it holds nothing any more */
enum holder_place { PLACE_UNASKED, PLACE_INSIDE, PLACE_OUTSIDE, PLACE_ENDED };

/**
 * struct holder - one descriptor, or one mapping, of a process
 * @dev: 0 of pipes and sockets, whose inodes are unique
 * @fd: -1 of a mapping
 * @access: of holder_access(); -1 before the first call
 * @place: of surroundings_place(); UNASKED before the first call
 */
struct holder {
	uint64_t ino;
	dev_t dev;
	pid_t pid;
	int fd, access;
	enum holder_place place;
};

/** struct holders - sorted by inode and device; @read: the walk was made; @failed: no memory */
struct holders {
	struct holder *items;
	size_t nr;
	bool read, failed;
};

/** struct seen_socket - a unix socket of this network namespace, as struct unix_sock */
struct seen_socket {
	uint32_t ino, peer, unread, file_ino;
	int type;
	size_t name_bytes;
	char name[RECONNECT_NAME_BYTES];
};

#define SURROUNDINGS_SPACES	8	/* kinds of namespaces */

/**
 * struct surroundings - of one look; the caller sets @tree, and all else is 0
 * @ptys: numbers of the ptys whose master a process of the program holds
 * @sockets: sorted by inode; only those that have a peer or a name
 * @root_spaces: the namespaces of the program's root, in the order of the caller; 0: not asked yet
 * @inet: of the network namespace that all processes of the program have
 */
struct surroundings {
	const struct tree *tree;
	struct holders holders[HOLDER_LISTS];
	unsigned int *ptys;
	struct seen_socket *sockets;
	atomic_ulong root_spaces[SURROUNDINGS_SPACES];
	size_t nr_ptys, nr_sockets;
	bool ptys_read, sockets_read, inet_read;
	struct inet_sockets inet;
};

/**
 * surroundings_holders() - the processes that hold a file; those of the program are among them
 * @nr: how many
 * Return: the first, the others follow; NULL with @nr 0: there is none; NULL with @err: no memory
 */
struct holder *surroundings_holders(struct surroundings *around, enum holder_list list, dev_t dev,
				    uint64_t ino, size_t *nr, struct error *err);
/** surroundings_place() - is the holder a process of the program, another one, or not there any more? */
enum holder_place surroundings_place(const struct surroundings *around, struct holder *holder);
/** holder_access() - O_RDONLY, O_WRONLY or O_RDWR of the descriptor */
int holder_access(struct holder *holder);

/** is_deleted_name() - a path or the name of a mapping is that of a deleted file, or of shared memory */
bool is_deleted_name(const char *name);

/** surroundings_socket() - NULL: there is none with a peer or a name, or the kernel does not tell */
const struct seen_socket *surroundings_socket(struct surroundings *around, uint32_t ino);
/** seen_socket_name() - reconnect_name() of the socket */
bool seen_socket_name(const struct seen_socket *socket, char name[RECONNECT_NAME_BYTES]);

/** surroundings_inet() - the TCP, UDP and raw sockets; NULL with @err */
const struct inet_sockets *surroundings_inet(struct surroundings *around, struct error *err);

/** surroundings_has_master() - *@has: a process of the program holds the master of pty @number */
int surroundings_has_master(struct surroundings *around, unsigned int number, bool *has,
			    struct error *err);

/** surroundings_forget() - the next question makes new lists; also at the end */
void surroundings_forget(struct surroundings *around);

#endif
