// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/page.h"
#include "os/uffd.h"
#include "services/lazy_kept.h"
#include "services/lazy_record.h"

static struct lazy_kept_space *space_at(struct lazy_kept *kept, size_t i)
{
	if (i >= kept->nr) {
		struct lazy_kept_space *more = reallocarray(kept->spaces, i + 64, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr; j < i + 64; j++)
			more[j] = (struct lazy_kept_space){ .uffd = -1 };
		kept->spaces = more;
		kept->nr = i + 64;
	}
	return &kept->spaces[i];
}

static struct lazy_kept_restore *restore_at(struct lazy_kept *kept, size_t i)
{
	if (i >= kept->nr_restores) {
		struct lazy_kept_restore *more = reallocarray(kept->restores, i + 1, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr_restores; j <= i; j++)
			more[j] = (struct lazy_kept_restore){ .fd = -1, .listens = -1 };
		kept->restores = more;
		kept->nr_restores = i + 1;
	}
	return &kept->restores[i];
}

static int add_space(struct lazy_kept *kept, size_t number, int uffd, uint32_t restore)
{
	struct lazy_kept_space *space = space_at(kept, number);

	if (!space)
		return -1;
	*space = (struct lazy_kept_space){ uffd, restore };
	return 0;
}

static int add_child(struct lazy_kept *kept, size_t number, const struct journal_entry *entry)
{
	struct lazy_kept_space *parent = space_at(kept, entry->space);
	struct uffd_msg msg;

	memcpy(&msg, entry->args, sizeof(msg));
	return parent ? add_space(kept, number, msg.arg.fork.ufd, parent->restore) : -1;
}

static int set_uffd(struct lazy_kept *kept, size_t number, int uffd)
{
	struct lazy_kept_space *space = space_at(kept, number);

	if (!space)
		return -1;
	space->uffd = uffd;
	return 0;
}

/* The helper closes them all, also those of processes that live, and have all of their pages. */
static void forget_spaces(struct lazy_kept *kept, uint32_t restore)
{
	for (size_t i = 0; i < kept->nr; i++)
		if (kept->spaces[i].restore == restore)
			kept->spaces[i].uffd = -1;
}

static int take_restore(struct lazy_kept *kept, const struct journal_entry *entry)
{
	struct lazy_kept_restore *restore = restore_at(kept, entry->space);

	if (!restore)
		return -1;
	switch (entry->op) {
	case LAZY_RECORD_LISTENS:
		restore->listens = (int)entry->args[0];
		return 0;
	case LAZY_RECORD_CONNECTED:
		restore->fd = (int)entry->args[0];
		restore->listens = -1;
		return 0;
	case LAZY_RECORD_REAPED:
		forget_spaces(kept, entry->space);
		kept->complete += entry->args[0];
		break;
	}
	restore->over = true;
	return 0;
}

static int take_entry(struct lazy_kept *kept, const struct journal_entry *entry, size_t *nr_spaces)
{
	struct uffd_msg msg;

	switch (entry->op) {
	case JOURNAL_ROOT:
		return add_space(kept, (*nr_spaces)++, entry->args[0], entry->args[2]);
	case JOURNAL_EVENT:
		memcpy(&msg, entry->args, sizeof(msg));
		return msg.event == UFFD_EVENT_FORK ? add_child(kept, (*nr_spaces)++, entry) : 0;
	case JOURNAL_BURY:
		return set_uffd(kept, entry->space, -1);
	case JOURNAL_FD:
		return set_uffd(kept, entry->space, entry->args[0]);
	case LAZY_RECORD_LINK:
		kept->link = (int)entry->args[0];
		kept->form = entry->args[1];
		kept->flags = entry->args[2];
		break;
	case LAZY_RECORD_LISTENS:
	case LAZY_RECORD_CONNECTED:
	case LAZY_RECORD_FINISHED:
	case LAZY_RECORD_REAPED:
		return take_restore(kept, entry);
	case LAZY_RECORD_END:
		kept->ended = true;
		break;
	}
	return 0;
}

static int pending_child(struct lazy_kept *kept, size_t i)
{
	uint32_t space;
	const struct uffd_msg *msg = journal_pending(kept->journal, i, &space);

	return msg && msg->event == UFFD_EVENT_FORK ? (int)msg->arg.fork.ufd : -1;
}

void lazy_kept_read(struct lazy_kept *kept)
{
	size_t nr_spaces = 0;

	for (size_t i = 0; i < JOURNAL_EVENTS; i++)
		kept->pending[i] = pending_child(kept, i);

	for (uint64_t i = 0; i < journal_nr(kept->journal); i++)
		if (take_entry(kept, &kept->journal->entries[i], &nr_spaces))
			journal_break(kept->journal);
}

bool lazy_kept_is_open(int fd)
{
	return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

/* CRIU is there, or has left what nobody has read: userfaultfds, maybe, which only this socket has. */
static bool is_talking(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };
	int unread = 0;

	return lazy_kept_is_open(fd) && (poll(&pfd, 1, 0) <= 0 || (!ioctl(fd, FIONREAD, &unread) && unread));
}

static bool has_caller(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return lazy_kept_is_open(fd) && poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLIN);
}

static bool lives(int uffd)
{
	return lazy_kept_is_open(uffd) && uffd_mapped(uffd, USER_END - 2 * PAGE_BYTES, 1) != UFFD_GONE;
}

bool lazy_kept_holds_dump(const struct lazy_kept *kept)
{
	struct pollfd pfd = { .fd = kept->link, .events = POLLRDHUP };

	return kept->complete && (kept->flags & LAZY_LINK_TLS) && lazy_kept_is_open(kept->link) && poll(&pfd, 1, 0) <= 0;
}

bool lazy_kept_is_needed(const struct lazy_kept *kept)
{
	if (lazy_kept_holds_dump(kept))
		return true;
	for (size_t i = 0; i < kept->nr; i++)
		if (lives(kept->spaces[i].uffd))
			return true;
	for (size_t i = 0; i < JOURNAL_EVENTS; i++)
		if (lives(kept->pending[i]))
			return true;
	for (size_t i = 0; i < kept->nr_restores; i++)
		if (!kept->restores[i].over &&
		    (is_talking(kept->restores[i].fd) || has_caller(kept->restores[i].listens)))
			return true;
	return false;
}
