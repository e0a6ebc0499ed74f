/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_SOCKETS_H
#define MIGRATE_DEST_PRECHECK_SOCKETS_H

#include "dest/precheck_list.h"
#include "wire/control.h"

#define PRECHECK_MAX_SOCKETS	1024	/* most servers, and most addresses, that Setup may name */

/** precheck_servers() - unix servers to which the program is to be connected anew */
void precheck_servers(const Migrate__Setup *setup, struct refusals *refusals);
/** precheck_addresses() - network addresses and ports that the program's sockets are bound to */
void precheck_addresses(const Migrate__Setup *setup, struct refusals *refusals);

#endif
