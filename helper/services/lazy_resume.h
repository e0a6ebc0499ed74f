/* SPDX-License-Identifier: GPL-2.0 */
/* A lazy-pages that takes up where a killed one was: what the keeper has (lazy_keeper.h), and the spaces out of the journal. */
#ifndef MIGRATE_SERVICES_LAZY_RESUME_H
#define MIGRATE_SERVICES_LAZY_RESUME_H

#include "services/lazy_serve.h"

/**
 * struct lazy_resume - what was handed over; a descriptor that is in use elsewhere is -1
 * @uffds: by the number of the space
 * @servers, @listeners: by the number of the restore
 * @spaces: by their numbers; NULL: it belongs to a restore that has ended
 */
struct lazy_resume {
	int sock;
	struct journal *journal;
	int *uffds, *servers, *listeners;
	size_t nr, nr_servers, nr_listeners;
	int pending[JOURNAL_EVENTS], link_fd;
	struct space **spaces;
};

/**
 * lazy_resume_take() - is there something to take up?
 * @journal: becomes that of the killed helper
 * Return: 1 it is taken; 0; -1 with @err, and all is as it was
 */
int lazy_resume_take(struct lazy_resume *resume, int work_dir_fd, struct journal *journal, struct error *err);

/**
 * lazy_resume_replay() - make the restores of @serve, whose memories are read
 *
 * After a failure the keeper has all still, and a further helper can take it.
 */
int lazy_resume_replay(struct lazy_resume *resume, struct lazy_serve *serve, struct error *err);

/** lazy_resume_go_on() - with a keeper of its own: the one of the killed helper ends, and threads that wait look again */
void lazy_resume_go_on(struct lazy_resume *resume);
void lazy_resume_free(struct lazy_resume *resume);

#endif
