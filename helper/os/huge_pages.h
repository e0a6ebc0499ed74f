/* SPDX-License-Identifier: GPL-2.0 */
/* Transparent huge pages of another process: made at once, where khugepaged would take hours. */
#ifndef MIGRATE_OS_HUGE_PAGES_H
#define MIGRATE_OS_HUGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/** enum huge_policy - which private anonymous memory this machine gives huge pages: none, that of madvise(), all */
enum huge_policy { HUGE_NEVER, HUGE_ADVISED, HUGE_ALWAYS };

/** huge_policy() - of /sys/kernel/mm/transparent_hugepage/enabled; HUGE_NEVER where that is not known */
enum huge_policy huge_policy(void);

/** huge_pages_wanted() - bytes of the mappings of @pid that may have huge pages */
uint64_t huge_pages_wanted(pid_t pid, enum huge_policy policy);

/**
 * huge_pages_make() - make huge pages of those small ones that fill a huge page
 * @until_ns: when to end, as clock_now_ns()
 * @made: how many were made
 *
 * The memory does not grow: a huge page with a hole is left alone. The process runs, and waits where it touches
 * the pages of a huge page that is being made. Return: 0; -1 when this kernel cannot (Linux 6.1 can), or
 * @pid has gone
 */
int huge_pages_make(pid_t pid, enum huge_policy policy, uint64_t until_ns, uint64_t *made,
		    struct error *err);

#endif
