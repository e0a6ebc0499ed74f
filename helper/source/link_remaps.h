/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRIU's option link-remap gives an open file that has lost its name another one, link_remap.N, beside the old name. CRIU
 * takes these names back when its dump fails, but not any more when it has come to status-ready.
 */
#ifndef MIGRATE_SOURCE_LINK_REMAPS_H
#define MIGRATE_SOURCE_LINK_REMAPS_H

/** link_remaps_remove() - after a dump was undone: remove the names that the images in @images_dir_fd have */
void link_remaps_remove(int images_dir_fd);

#endif
