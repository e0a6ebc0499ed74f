/* SPDX-License-Identifier: GPL-2.0 */
/* The paths in CRIU's images that a restore opens. */
#ifndef MIGRATE_CRIU_NAMES_H
#define MIGRATE_CRIU_NAMES_H

#include <stddef.h>
#include "base/error.h"

/** struct criu_names - @list: @nr paths in the order of strcmp(), each once */
struct criu_names {
	char **list;
	size_t nr;
};

/** criu_names_read() - the paths of files.img: descriptors, mappings, programs, and working directories */
int criu_names_read(int images_dir_fd, struct criu_names *names, struct error *err);
/** criu_names_read_links() - of these, the names that CRIU itself has made for the dump (option link-remap) */
int criu_names_read_links(int images_dir_fd, struct criu_names *names, struct error *err);
void criu_names_free(struct criu_names *names);

#endif
