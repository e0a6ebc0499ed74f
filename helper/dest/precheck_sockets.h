/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_SOCKETS_H
#define MIGRATE_DEST_PRECHECK_SOCKETS_H

#include "dest/precheck_list.h"
#include "wire/control.h"

#define PRECHECK_MAX_SOCKETS	1024	/* most servers, and most addresses, that Setup may name */

/** precheck_servers() - refuse when a unix server to which CRIU connects the program is missing */
void precheck_servers(const Migrate__Setup *setup, struct refusals *refusals);
/** precheck_addresses() - refuse when an address or port of the program is not available */
void precheck_addresses(const Migrate__Setup *setup, struct refusals *refusals);

#endif
