/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The accepting process of `serve` listens, and starts a process for each migration.
 */
#ifndef MIGRATE_DEST_ACCEPTOR_H
#define MIGRATE_DEST_ACCEPTOR_H

#include "dest/serve_options.h"

/** acceptor_run() - serve until a signal, or with --once one migration. Return: enum exit_code */
int acceptor_run(const struct serve_options *opts);

#endif
