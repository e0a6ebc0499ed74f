/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An incremental chain at image-cache: pages of a dump and of the pre-dumps before it, put together for a restore that
 * knows no parents.
 *
 * The images of level N, from 0 on, have the names IMAGE_CHAIN_PREFIX "N/pagemap-PID.img" and so on. Of each pagemap in
 * the highest level the dump gets one under its plain name, which lists all pages as present, and a pages image that
 * takes each page out of the level that has it, without a copy.
 */
#ifndef MIGRATE_SERVICES_IMAGE_CHAIN_H
#define MIGRATE_SERVICES_IMAGE_CHAIN_H

#include "services/image_store.h"

#define IMAGE_LEVELS_MAX	1024U	/* pre-dumps of a chain, and the dump */

/**
 * image_chain_flatten() - add the flat images to a dump that is sealed, if it has a chain
 * Return: 0; -1 with @err: no level has a page that the dump leaves to it, or an image is damaged
 */
int image_chain_flatten(struct image_store *store, struct stored_dump *dump, struct error *err);

#endif
