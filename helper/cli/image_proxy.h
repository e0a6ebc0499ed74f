/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_IMAGE_PROXY_H
#define MIGRATE_CLI_IMAGE_PROXY_H

/** image_proxy_main() - the verb `image-proxy`: hand the images of dumps on to a cache. Return: enum exit_code */
int image_proxy_main(int argc, char **argv);

#endif
