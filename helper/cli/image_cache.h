/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_IMAGE_CACHE_H
#define MIGRATE_CLI_IMAGE_CACHE_H

/** image_cache_main() - the verb `image-cache`: hold images for restores. Return: enum exit_code */
int image_cache_main(int argc, char **argv);

#endif
