/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_BASE_PAGE_H
#define MIGRATE_BASE_PAGE_H

#define PAGE_SHIFT	12
#define PAGE_BYTES	(1UL << PAGE_SHIFT)
#define USER_END	(1UL << 47)	/* first address above user space on x86-64 with 4 levels */

#endif
