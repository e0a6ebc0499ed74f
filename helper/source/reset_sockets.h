/* SPDX-License-Identifier: GPL-2.0 */
/* The sockets of a tree whose connections were reset; the tree stands. */
#ifndef MIGRATE_SOURCE_RESET_SOCKETS_H
#define MIGRATE_SOURCE_RESET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "source/tree.h"

/**
 * struct reset_sockets - @nr inodes, looked up when the first question comes: few trees have any.
 *	Zeroed but for @tree is valid
 */
struct reset_sockets {
	const struct tree *tree;
	uint32_t *inodes;
	size_t nr;
	bool read;
};

/** reset_sockets_have() - a criu_socket_fn; memory that is short counts as "no" */
bool reset_sockets_have(void *ctx, uint32_t inode);
void reset_sockets_free(struct reset_sockets *sockets);

#endif
