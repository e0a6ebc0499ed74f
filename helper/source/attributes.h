/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attributes of the frozen program that CRIU does not carry: read here, sent in RestoreGo, set
 * by the destination, which says whether it could.
 */
#ifndef MIGRATE_SOURCE_ATTRIBUTES_H
#define MIGRATE_SOURCE_ATTRIBUTES_H

#include "os/attributes.h"
#include "os/cgroup.h"
#include "source/loss.h"
#include "wire/control.h"

#define ATTRIBUTE_THREADS_MAX	65536

/** struct source_attributes - of one program, in the form of a message. Zeroed is empty */
struct source_attributes {
	struct process_attributes process;
	struct thread_attributes *threads;
	Migrate__ThreadAttributes *messages, **list;
	Migrate__Scheduling *scheds;
	size_t nr, cap;
};

/**
 * source_attributes_read() - of process @pid, which stands
 * @group: the one in which it is frozen; its home may restrict the program to some CPUs
 */
int source_attributes_read(struct source_attributes *attributes, pid_t pid,
			   const struct cgroup *group, struct error *err);
/** source_attributes_read_in() - source_attributes_read(); @sub: the process's own group below the home of @group */
int source_attributes_read_in(struct source_attributes *attributes, pid_t pid, const struct cgroup *group,
			      const char *sub, struct error *err);
/** source_attributes_fill() - put them into @said, which is good until source_attributes_free() */
void source_attributes_fill(struct source_attributes *attributes, Migrate__Process *said);
void source_attributes_free(struct source_attributes *attributes);

/** source_attributes_take_answer() - note as losses what the destination could set and what not */
void source_attributes_take_answer(const Migrate__Attributes *answer, struct losses *losses);

#endif
