/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long a program will stand when it is moved, whatever of its memory is dirty: from its shape, from
 * the speed of the machine, and from what earlier migrations took.
 *
 * Each end predicts its own part by a linear model. An earlier migration leaves how many times as long as
 * predicted it took, by the name of the program. The figures serve an estimate only: where they cannot be
 * read or kept, nothing fails.
 */
#ifndef MIGRATE_SESSION_COST_H
#define MIGRATE_SESSION_COST_H

#include <stdint.h>
#include "session/speed.h"

/**
 * struct shape - what of a program makes a move of it slow: sums over its processes
 * @processes: 0 counts as 1
 * @private_pages: of all private mappings, reserved ones too
 * @drained_pages: that CRIU takes into pipes while it dumps, since no rounds came before
 * @image_pages: that images carry: of private mappings of files, which the program has written, and of
 *	private huge pages of hugetlb
 * @shared_pages: of shared memory: CRIU reads them, and they are compared
 */
struct shape {
	uint64_t mappings, threads, descriptors, private_pages, drained_pages,
		 image_pages, shared_pages, processes;
};

/** enum cost - which part */
enum cost { COST_DUMP, COST_RESTORE };

/** cost_model_ns() - what the model says, without earlier migrations */
uint64_t cost_model_ns(enum cost cost, const struct shape *shape, const struct speed *speed);

/**
 * cost_expect_ns() - cost_model_ns() times what earlier migrations say
 * @kind: name of the program
 */
uint64_t cost_expect_ns(enum cost cost, const char *kind, uint64_t model_ns);

/** cost_keep() - a migration took @ns where the model says @model_ns */
void cost_keep(enum cost cost, const char *kind, uint64_t model_ns, uint64_t ns);

/** cost_dir - where the figures are kept; a test has its own */
extern const char *cost_dir;

#endif
