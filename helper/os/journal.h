/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_JOURNAL_H
#define MIGRATE_OS_JOURNAL_H

/* Where systemd's journal takes streams of lines. */
#define JOURNAL_STDOUT	"/run/systemd/journal/stdout"

#endif
