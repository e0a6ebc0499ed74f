/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a struct conn of a test's socket. */
#ifndef MIGRATE_TESTS_CONN_FD_H
#define MIGRATE_TESTS_CONN_FD_H

#include "wire/conn.h"

#define CONN(number)	(&(struct conn){ .fd = (number) })

#endif
