// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "pages/space_events.h"
#include "services/lazy_keeper.h"
#include "services/lazy_resume.h"

#define ANSWER_MS	30000
#define PLACES_MAX	(1U << 24)	/* as many as a journal has entries */

static int no_memory(struct error *err)
{
	return error_set(err, CODE_INTERNAL, NULL, "no memory for what a killed lazy-pages has left");
}

/* Put @fd at place @i of the list; it is closed after a failure. */
static int put(int **list, size_t *nr, size_t i, int fd, struct error *err)
{
	if (i >= PLACES_MAX) {
		close(fd);
		return error_set(err, CODE_INTERNAL, NULL, "the keeper has a number %zu", i);
	}
	if (i >= *nr) {
		int *more = reallocarray(*list, i + 64, sizeof(*more));

		if (!more) {
			close(fd);
			return no_memory(err);
		}
		for (size_t j = *nr; j < i + 64; j++)
			more[j] = -1;
		*list = more;
		*nr = i + 64;
	}
	(*list)[i] = fd;
	return 0;
}

static int take_handed(struct lazy_resume *resume, const struct lazy_handed_msg *msg, int fd, struct error *err)
{
	switch (msg->what) {
	case LAZY_HANDED_JOURNAL:
		return journal_map(resume->journal, fd, err);
	case LAZY_HANDED_SPACE:
		return put(&resume->uffds, &resume->nr, msg->number, fd, err);
	case LAZY_HANDED_SERVER:
		return put(&resume->servers, &resume->nr_servers, msg->number, fd, err);
	case LAZY_HANDED_LISTENER:
		return put(&resume->listeners, &resume->nr_listeners, msg->number, fd, err);
	case LAZY_HANDED_PENDING:
		resume->pending[msg->number % JOURNAL_EVENTS] = fd;
		return 0;
	case LAZY_HANDED_LINK:
		resume->link_fd = fd;
		return 0;
	}
	close(fd);
	return 0;
}

static int take_all(struct lazy_resume *resume, struct error *err)
{
	struct lazy_handed_msg msg;
	int fds[FDPASS_MAX];

	for (;;) {
		if (fdpass_recv(resume->sock, &msg, sizeof(msg), fds, ANSWER_MS) != 1)
			return error_set(err, CODE_INTERNAL, "another lazy-pages may have it; else what it has can only be given up: kill the restored program",
					 "the keeper of a killed lazy-pages has nothing that can be taken up");
		if (msg.what == LAZY_HANDED_END)
			return 0;
		if (fds[0] >= 0 && take_handed(resume, &msg, fds[0], err))
			return -1;
	}
}

static int dial(int work_dir_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" LAZY_KEEPER_NAME, work_dir_fd);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

/* What a keeper says is believed: it has to be one of ours. */
static bool is_ours(int sock, struct error *err)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (!getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) && peer.uid == geteuid())
		return true;
	error_set(err, CODE_USAGE, NULL, LAZY_KEEPER_NAME " in the work directory is another user's");
	return false;
}

int lazy_resume_take(struct lazy_resume *resume, int work_dir_fd, struct journal *journal, struct error *err)
{
	*resume = (struct lazy_resume){ .link_fd = -1, .journal = journal };
	for (size_t i = 0; i < JOURNAL_EVENTS; i++)
		resume->pending[i] = -1;
	resume->sock = dial(work_dir_fd);
	if (resume->sock < 0)
		return 0;
	if (!is_ours(resume->sock, err) || take_all(resume, err) || !resume->journal->head) {
		lazy_resume_free(resume);
		journal_close(journal);
		return error_is_set(err) ? -1 : error_set(err, CODE_INTERNAL, NULL, "the keeper has no journal");
	}
	return 1;
}

static int take(int *list, size_t nr, size_t i)
{
	int fd = i < nr ? list[i] : -1;

	if (fd >= 0)
		list[i] = -1;
	return fd;
}

static int uffd_of(struct lazy_resume *resume, size_t number)
{
	return take(resume->uffds, resume->nr, number);
}

static int replay_event(struct lazy_resume *resume, const struct journal_entry *entry, struct error *err)
{
	struct space *space = resume->spaces[entry->space];
	size_t child = resume->journal->nr_spaces, before = space->set->nr;
	const struct uffd_msg *msg = (const void *)entry->args;
	bool forks = entry->op == JOURNAL_EVENT && msg->event == UFFD_EVENT_FORK;

	if (space_replay(space, entry, forks ? uffd_of(resume, child) : -1, err))
		return -1;
	if (space->set->nr > before)
		resume->spaces[child] = space->set->list[before];
	return 0;
}

static void forget_spaces(struct lazy_resume *resume, const struct lazy_restore *restore)
{
	for (size_t i = 0; i < resume->journal->nr_spaces; i++)
		for (size_t j = 0; j < restore->nr; j++)
			if (resume->spaces[i] && resume->spaces[i]->set == &restore->tasks[j]->set)
				resume->spaces[i] = NULL;
}

static int replay(struct lazy_resume *resume, struct lazy_serve *serve, const struct journal_entry *entry,
		  struct error *err)
{
	struct lazy_restore *restore;
	int ret = 0;

	switch (entry->op) {
	case JOURNAL_ROOT:
		restore = lazy_serve_restore(serve, entry->args[2]);
		ret = !restore ? no_memory(err) :
		      lazy_restore_attach(restore, serve->memories, entry->args[1],
					  uffd_of(resume, resume->journal->nr_spaces), err);
		if (!ret)
			resume->spaces[resume->journal->nr_spaces - 1] = restore->tasks[restore->nr - 1]->set.list[0];
		return ret;
	case LAZY_RECORD_LISTENS:
	case LAZY_RECORD_CONNECTED:
		restore = lazy_serve_restore(serve, entry->space);
		if (!restore)
			return no_memory(err);
		restore->connected |= entry->op == LAZY_RECORD_CONNECTED;
		return 0;
	case LAZY_RECORD_WORD:
		restore = lazy_serve_restore(serve, entry->space);
		if (restore)
			restore->word = entry->args[0];
		return 0;
	case LAZY_RECORD_FINISHED:
		restore = lazy_serve_restore(serve, entry->space);
		if (restore)
			lazy_restore_finish(restore);
		return 0;
	case LAZY_RECORD_REAPED:
		restore = lazy_serve_restore(serve, entry->space);
		if (restore)
			forget_spaces(resume, restore);
		lazy_serve_reaped(serve, entry->space, entry->args[0]);
		return 0;
	case LAZY_RECORD_LINK:
	case LAZY_RECORD_END:
	case JOURNAL_FD:
		return 0;
	}
	if (entry->space >= resume->journal->nr_spaces)
		return error_set(err, CODE_INTERNAL, NULL, "the keeper's journal is of no use");
	return resume->spaces[entry->space] ? replay_event(resume, entry, err) : 0;
}

/* Spaces under the numbers that their descriptors have here: for the next keeper. */
static void record_fds(struct lazy_resume *resume)
{
	for (size_t i = 0; i < resume->journal->nr_spaces; i++) {
		struct space *space = resume->spaces[i];

		if (!space || space->gone)
			continue;
		if (space->uffd < 0) {
			space->set->ops->bury(space->set, space);
			continue;
		}
		journal_add(resume->journal, JOURNAL_FD, i, space->uffd, 0, 0);
	}
}

/* The next keeper finds children that are not acted upon. */
static void record_pending(struct lazy_resume *resume)
{
	uint32_t number;

	for (size_t i = 0; i < JOURNAL_EVENTS; i++) {
		struct uffd_msg *msg = journal_pending(resume->journal, i, &number);

		if (msg && msg->event == UFFD_EVENT_FORK)
			msg->arg.fork.ufd = resume->pending[i];
	}
}

/* Events that the killed helper has read, and not acted upon. */
static void act_pending(struct lazy_resume *resume)
{
	struct uffd_msg *msg, copy;
	uint32_t number;

	for (size_t i = 0; i < JOURNAL_EVENTS; i++) {
		struct error err = { 0 };

		msg = journal_pending(resume->journal, i, &number);
		if (!msg)
			continue;
		if (msg->event == UFFD_EVENT_FORK)
			resume->pending[i] = -1;
		copy = *msg;
		journal_took(resume->journal, i);
		if (number < resume->journal->nr_spaces && resume->spaces[number])
			space_act(resume->spaces[number], &copy, &err);
	}
}

/* CRIU connects where the killed helper listened; else it has left a name, maybe, and nobody there. */
static int resume_listening(struct lazy_resume *resume, struct lazy_serve *serve, struct lazy_restore *restore,
			    struct error *err)
{
	int fd = take(resume->listeners, resume->nr_listeners, restore->number);

	if (fd >= 0)
		return lazy_restore_adopt(restore, serve->work_fd, fd, err);
	unlinkat(serve->work_fd, "lazy-pages.socket", 0);
	return lazy_restore_listen(restore, serve->work_fd, err);
}

static int resume_restores(struct lazy_resume *resume, struct lazy_serve *serve, struct error *err)
{
	bool listens = false;
	int ret = 0;

	for (size_t i = 0; i < serve->nr && !ret; i++) {
		struct lazy_restore *restore = serve->list[i];

		if (!restore->connected)
			ret = resume_listening(resume, serve, restore, err);
		else if (!restore->finished)
			ret = lazy_restore_resume(restore, serve->work_fd,
						  take(resume->servers, resume->nr_servers, restore->number), err);
		listens |= !restore->connected;
	}
	if (!listens)
		unlinkat(serve->work_fd, "lazy-pages.socket", 0);
	return ret;
}

void lazy_resume_go_on(struct lazy_resume *resume)
{
	/* the own keeper says it, too: should it be killed, somebody has to */
	lazy_keeper_relieve(resume->sock);
	act_pending(resume);
	for (size_t i = 0; i < resume->journal->nr_spaces; i++)
		if (resume->spaces[i] && !resume->spaces[i]->gone) {
			space_wake_all(resume->spaces[i]);
			resume->spaces[i]->set->retry = true;
		}
}

int lazy_resume_replay(struct lazy_resume *resume, struct lazy_serve *serve, struct error *err)
{
	uint64_t nr = journal_nr(resume->journal);
	int ret = 0;

	/* no entry makes more than one space; a pending event may make one, too */
	resume->spaces = calloc(nr + JOURNAL_EVENTS, sizeof(*resume->spaces));
	if (!resume->spaces)
		return no_memory(err);
	resume->journal->replays = true;
	for (uint64_t i = 0; i < nr && !ret; i++)
		ret = replay(resume, serve, &resume->journal->entries[i], err);
	resume->journal->replays = false;
	if (ret)
		return -1;
	record_fds(resume);
	record_pending(resume);
	return resume_restores(resume, serve, err);
}

static void close_all(int *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (list[i] >= 0)
			close(list[i]);
}

void lazy_resume_free(struct lazy_resume *resume)
{
	close_all(resume->uffds, resume->nr);
	close_all(resume->servers, resume->nr_servers);
	close_all(resume->listeners, resume->nr_listeners);
	close_all(resume->pending, JOURNAL_EVENTS);
	close_all(&resume->link_fd, 1);
	close_all(&resume->sock, 1);
	free(resume->uffds);
	free(resume->servers);
	free(resume->listeners);
	free(resume->spaces);
}
