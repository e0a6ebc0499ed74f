/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands in for `criu lazy-pages`: unmodified `criu restore --lazy-pages` gets its memory from it, and it
 * gets the memory from the page server of an unmodified `criu dump --lazy-pages`, or from images.
 *
 * Two rules. A page that the source has is never given as zeros: the userfaultfds stay open until no process
 * lacks a page, whatever happens. And CRIU's page server takes the end of the connection for success, and kills
 * the dumped tasks: the connection stays open until their copies have all pages.
 */
#ifndef MIGRATE_SERVICES_LAZY_PAGES_H
#define MIGRATE_SERVICES_LAZY_PAGES_H

#include "services/lazy_options.h"

/** lazy_pages_run() - serve restores. Return: the exit code */
int lazy_pages_run(const struct lazy_pages_options *opts);

#endif
