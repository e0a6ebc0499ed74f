/* SPDX-License-Identifier: GPL-2.0 */
#ifndef E2E_MUTATE_TARGET_H
#define E2E_MUTATE_TARGET_H

#define TARGET_PAGE	4096UL
#define TARGET_PAGES	64UL
#define TARGET_ADDR	0x10000000UL
/* Of these the last come after the program was started. */
#define TARGET_LATE	16UL

#endif
