/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The destination's end of dump -> proxy -> one connection -> cache -> restore: it holds the images in memory,
 * and `criu restore --stream` reads them from it.
 */
#ifndef MIGRATE_SERVICES_IMAGE_CACHE_H
#define MIGRATE_SERVICES_IMAGE_CACHE_H

#include "services/image_options.h"

/** image_cache_run() - until a signal, or one restore. Return: the exit code */
int image_cache_run(const struct image_options *opts);

#endif
