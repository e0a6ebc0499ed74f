/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_HUGETLB_H
#define MIGRATE_DEST_PRECHECK_HUGETLB_H

#include "dest/precheck_list.h"
#include "wire/control.h"

/* The kernel's directory of pools of huge pages; tests have another one. */
extern const char *precheck_hugetlb_dir;

/** precheck_hugetlb() - are there as many huge pages of each size as the program has mapped? */
void precheck_hugetlb(const Migrate__Setup *setup, struct refusals *refusals);
/** precheck_hugetlb_bytes() - that CRIU's images have of huge pages, at most */
uint64_t precheck_hugetlb_bytes(const Migrate__Setup *setup);

#endif
