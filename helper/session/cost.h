/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a step of a migration took on this machine, kept from one migration to the next. The figure
 * serves an estimate only: where it cannot be read or kept, nothing fails.
 */
#ifndef MIGRATE_SESSION_COST_H
#define MIGRATE_SESSION_COST_H

#include <stdint.h>

#define COST_DUMP	"cost"		/* source: dump and images */
#define COST_RESTORE	"restore-cost"	/* destination: restore */

/** cost_read() - a mean of earlier migrations in ns; 0: none is known */
uint64_t cost_read(const char *name);

/** cost_keep() - take @ns into the mean, which follows the latest by a quarter */
void cost_keep(const char *name, uint64_t ns);

#endif
