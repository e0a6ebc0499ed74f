/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The namespaces that a program has of its own. Setup names them, so that serve refuses a kind that it lacks while the
 * program still runs. CRIU goes by the images, so the images must have the same namespaces.
 */
#ifndef MIGRATE_DEST_NAMESPACES_H
#define MIGRATE_DEST_NAMESPACES_H

#include "dest/precheck_list.h"
#include "dest/program.h"
#include "os/id_map.h"
#include "wire/control.h"

/**
 * struct namespaces - zeroed: the program has none of its own
 * @own: bit 1 << n: it has that of enum criu_namespace
 * @uids, @gids: of a user namespace
 * @root_gid: the machine's id of gid 0 in it
 */
struct namespaces {
	unsigned int own;
	struct id_map uids, gids;
	uint32_t root_gid;
};

/** namespaces_take() - check and keep what Setup says of them */
void namespaces_take(struct namespaces *namespaces, const Migrate__Setup *setup,
		     struct refusals *refusals);
/** namespaces_have_user() - one of them is a user namespace, in which this machine's root has no say */
bool namespaces_have_user(const struct namespaces *namespaces);
/** namespaces_compare() - -1 with CODE_PEER when the images of @program have others, or other maps of ids */
int namespaces_compare(const struct namespaces *namespaces, const struct program *program,
		       int images_fd, struct error *err);

#endif
