/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The source's end of dump -> proxy -> one connection -> cache -> restore: `criu dump --stream` writes its images
 * into it, and it hands them on as they come. No image touches a disk.
 */
#ifndef MIGRATE_SERVICES_IMAGE_PROXY_H
#define MIGRATE_SERVICES_IMAGE_PROXY_H

#include <sys/types.h>
#include "services/image_options.h"

/** image_proxy_run() - until a signal, the end of the link, or one dump. Return: the exit code */
int image_proxy_run(const struct image_options *opts);

/**
 * image_proxy_confirm() - as an action script of criu dump: ask the proxy whether all images arrived
 * @images_dir: as CRIU names it in CRTOOLS_IMAGE_DIR
 * @action: CRTOOLS_SCRIPT_ACTION; all but "post-dump" need nothing
 * @root: CRTOOLS_INIT_PID, the root of the program; 0: not known
 * Return: the exit code; all but 0 make CRIU's dump fail, and the program goes on
 */
int image_proxy_confirm(const char *images_dir, const char *action, pid_t root);

#endif
