/* SPDX-License-Identifier: GPL-2.0 */
/* What the process of a TLS connection gives up before it reads a byte of a stranger's. */
#ifndef MIGRATE_WIRE_TLS_SANDBOX_H
#define MIGRATE_WIRE_TLS_SANDBOX_H

#include "base/error.h"

/**
 * tls_sandbox_enter() - no user's rights, no new descriptors, no files, no processes, for good
 *
 * From here on the process can use the descriptors that it has, its memory and the clock.
 */
int tls_sandbox_enter(struct error *err);

#endif
