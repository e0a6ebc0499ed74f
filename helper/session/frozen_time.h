/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the time goes to for which a program stands. Each end is in one part at a time, so the parts
 * add up to the whole.
 */
#ifndef MIGRATE_SESSION_FROZEN_TIME_H
#define MIGRATE_SESSION_FROZEN_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "control.pb-c.h"

#define FROZEN_PARTS	32	/* more than the largest number on the wire */

/** enum frozen_owner - whose work a part is; FROZEN_WAIT is the other end's and the link's */
enum frozen_owner { FROZEN_NONE, FROZEN_CRIU, FROZEN_SOURCE, FROZEN_DEST, FROZEN_WAIT };

/**
 * struct frozen_time - the parts by their number on the wire
 * @ns: zeros at first
 * @part: the one that runs; 0: none
 * @since_ns: clock_now_ns() when @part began
 * @settling_ns: of the parts, what went by until a moment came at which the program could be dumped: the program ran
 *	for a part of it, and the next migration may need none
 */
struct frozen_time {
	uint64_t ns[FROZEN_PARTS];
	unsigned int part;
	uint64_t since_ns, settling_ns;
};

/** frozen_time_enter() - @part begins, and the one that ran ends; 0: none begins */
void frozen_time_enter(struct frozen_time *time, unsigned int part);

/** frozen_part_name() - as it is called in results; NULL: there is no such part */
const char *frozen_part_name(unsigned int part);
enum frozen_owner frozen_part_owner(unsigned int part);

/** frozen_time_sum() - of all parts of @owner, in ns */
uint64_t frozen_time_sum(const struct frozen_time *time, enum frozen_owner owner);

/**
 * frozen_time_pack() - the parts that took any time, for a message
 * @messages, @list: room for FROZEN_PARTS each
 */
size_t frozen_time_pack(const struct frozen_time *time, Migrate__FrozenTime *messages,
			Migrate__FrozenTime **list);
/** frozen_time_take() - parts of the destination out of its message; others are left out */
void frozen_time_take(struct frozen_time *time, Migrate__FrozenTime *const *list, size_t nr);

#endif
