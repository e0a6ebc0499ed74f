// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/fds.h"
#include "source/kept_trackers.h"

static void tracker_close(const struct kept_tracker *tracker)
{
	/* the last close of the userfaultfd ends the protection, for which the session need not live */
	close(tracker->uffd);
	close(tracker->session_fd);
}

void kept_trackers_forget(struct kept_trackers *trackers, int key)
{
	for (size_t i = 0; i < trackers->nr; i++) {
		if (trackers->list[i].key != key)
			continue;
		tracker_close(&trackers->list[i]);
		trackers->list[i] = trackers->list[--trackers->nr];
		return;
	}
}

int kept_trackers_add(struct kept_trackers *trackers, int key, int session_fd, int uffd,
		      struct error *err)
{
	const struct kept_tracker tracker = { key, session_fd, uffd };
	struct kept_tracker *list;

	kept_trackers_forget(trackers, key);
	/* a descriptor that finds no place ends the keeper */
	if (!trackers->list)
		fds_allow_many();
	list = realloc(trackers->list, (trackers->nr + 1) * sizeof(*list));
	if (!list) {
		tracker_close(&tracker);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of trackers");
	}
	trackers->list = list;
	list[trackers->nr++] = tracker;
	return 0;
}

void kept_trackers_end(struct kept_trackers *trackers,
		       void (*unprotect)(int session_fd, int uffd))
{
	for (size_t i = 0; i < trackers->nr; i++) {
		unprotect(trackers->list[i].session_fd, trackers->list[i].uffd);
		tracker_close(&trackers->list[i]);
	}
	free(trackers->list);
	memset(trackers, 0, sizeof(*trackers));
}
