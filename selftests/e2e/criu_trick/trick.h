/* SPDX-License-Identifier: GPL-2.0 */
/*
 * helper/criu against a real CRIU: a task is dumped by reference to a parent that holds no
 * data, and restored next to its frozen self, page by page.
 */
#ifndef SPLICE_VM_E2E_CRIU_TRICK_H
#define SPLICE_VM_E2E_CRIU_TRICK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "criu/criu.h"
#include "criu/pagemap.h"
#include "os/cgroup.h"
#include "os/maps.h"
#include "pages/page_set.h"

/* TAP. Return: @good */
bool ok(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ms(void);
void sleep_ms(unsigned int ms);

/* What the target says of itself, in a file. */
struct progress {
	uint64_t steps;
	uint64_t passes;
	uint64_t corrupt;	/* pages that were not as it had left them */
};

struct target_opts {
	unsigned int mib;
	bool odd;		/* has something that CRIU cannot dump */
};

struct target {
	pid_t pid;
	int mem_fd;
	int progress_fd;
	int echo_fd;		/* a TCP connection that it answers on */
};

void target_start(struct target *target, const struct target_opts *opts);
void target_stop(struct target *target);
struct progress target_progress(const struct target *target);
/* Does it go on within @ms? */
bool target_moves(const struct target *target, unsigned int ms);
bool target_echoes(const struct target *target);
/* The program that is migrated: arguments as target_start() gave them. */
int target_main(char **argv);

/* Directories of one migration, and its dump. */
struct session {
	int parent_fd, images_fd, work_fd, dest_fd;
	char path[64];
	struct criu_dump *dump;
	struct error err;
};

void session_open(struct session *s);
int session_dump(struct session *s, const struct target *target, bool parent);
void session_close(struct session *s);

/* A copy of the memory of a task that runs. */
struct mirror {
	struct vma_list vmas;
	char **data;		/* per VMA; NULL where it cannot be read */
};

void mirror_copy(struct mirror *mirror, const struct target *target);
const char *mirror_page(const struct mirror *mirror, uint64_t addr);
void mirror_free(struct mirror *mirror);

/* The pagemap as CRIU wrote it. */
struct pagemap {
	struct pagemap_entry *entries;
	size_t nr;
	uint64_t present, lazy, parent;	/* pages of each kind */
};

void pagemap_load(struct pagemap *map, int images_fd, pid_t pid);
void pagemap_free(struct pagemap *map);

/* What serves the faults of the restored task. */
struct dest {
	struct cgroup group;	/* in which the task is born and frozen */
	pid_t init;
	pid_t pid;		/* restored task, in our PID namespace */
	struct lazy_server *lazy_server;
	int stop_fd;
	pthread_t thread;
	struct page_set lazy;	/* what the uffd has to give */
	struct page_set fresh;	/* of these, what the mirror does not have */
	const struct mirror *mirror;
	int source_mem_fd;
	uint64_t faults, from_mirror, from_source, from_nowhere, events;
	bool finished;
};

int dest_restore(struct dest *dest, struct session *s);
void dest_stop(struct dest *dest);

#endif
