/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The images that a dump replaces. Until all new images have their names, the earlier pagemaps wait in a directory
 * of their own, and the pages that they name stay: a failure, or the end of the server, in the middle loses nothing.
 */
#ifndef MIGRATE_SERVICES_IMAGE_EARLIER_H
#define MIGRATE_SERVICES_IMAGE_EARLIER_H

#include "base/error.h"

/** image_earlier_keep() - put the pagemap image @map aside, if there is one */
int image_earlier_keep(int dir_fd, const char *map, struct error *err);

/** image_earlier_back() - give all that was put aside its name back */
int image_earlier_back(int dir_fd, struct error *err);

/** image_earlier_drop() - the new images are complete: remove what was put aside, and its pages */
int image_earlier_drop(int dir_fd, struct error *err);

/** image_earlier_settle() - finish what a server that was killed in the middle has left */
int image_earlier_settle(int dir_fd, struct error *err);

#endif
