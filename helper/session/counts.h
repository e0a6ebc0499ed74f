/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the pages of a program came to the destination. The destination counts, Done tells the source,
 * and both write the same names into their results.
 */
#ifndef MIGRATE_SESSION_COUNTS_H
#define MIGRATE_SESSION_COUNTS_H

#include <jansson.h>
#include <stdint.h>
#include "wire/control.h"

/**
 * struct counts - pages, but for @faults
 * @precopy_pages: installed from the mirror as pre-copy filled it
 * @push_pages: came over memory after FINAL
 * @fault_pages: came over urgent, because a fault waited
 * @zero_pages: read as zeros at the source, or first touched at the destination
 * @image_pages: CRIU's images or their parent carried them
 * @faults: faults that were answered
 */
struct counts {
	uint64_t precopy_pages, push_pages, fault_pages, zero_pages, image_pages, faults;
};

void counts_to_done(const struct counts *counts, Migrate__Done *done);
void counts_from_done(struct counts *counts, const Migrate__Done *done);

/** counts_json() - an object with each count under its name; NULL without memory */
json_t *counts_json(const struct counts *counts);

#endif
