/* SPDX-License-Identifier: GPL-2.0 */
/* One `criu restore --lazy-pages`: the socket on which it hands over its userfaultfds, and its tasks. */
#ifndef MIGRATE_SERVICES_LAZY_RESTORE_H
#define MIGRATE_SERVICES_LAZY_RESTORE_H

#include "criu/criu.h"
#include "services/lazy_task.h"

/**
 * struct lazy_restore - @number: in the journal
 * @journal: records what comes; NULL: nobody does
 * @server: NULL once CRIU has sent all
 * @word: as lazy_server_word()
 * @fd: the descriptor of @server that is in the epoll
 * @connected: CRIU has connected
 * @finished: all is restored; the tasks run, or CRIU lets them run next
 * @held, @held_fd: a task that CRIU holds still, after it has said that all is restored, and its pidfd: the program has not
 *	run; 0 and -1: it runs, as far as can be seen
 * @failed: CRIU hung up before that. What it has made so far may live still
 */
struct lazy_restore {
	uint32_t number;
	struct journal *journal;
	struct lazy_server *server;
	pid_t word;
	int epoll, fd;
	struct lazy_task **tasks;
	size_t nr, at;
	bool connected, finished, failed;
	pid_t held;
	int held_fd;
};

/** lazy_restore_new() - one that has neither tasks nor CRIU */
struct lazy_restore *lazy_restore_new(uint32_t number, int epoll, struct journal *journal, struct error *err);

/** lazy_restore_listen() - wait for CRIU in the directory; events of the socket come with the restore as data */
int lazy_restore_listen(struct lazy_restore *restore, int work_dir_fd, struct error *err);

/** lazy_restore_resume() - CRIU is connected with @fd, after it has told @restore->word; -1: it has hung up */
int lazy_restore_resume(struct lazy_restore *restore, int work_dir_fd, int fd, struct error *err);

/** lazy_restore_adopt() - lazy_restore_listen() with the socket @fd of another process */
int lazy_restore_adopt(struct lazy_restore *restore, int work_dir_fd, int fd, struct error *err);

/**
 * lazy_restore_attach() - one more task
 * @memories: of all tasks of the images
 * @pid: in the images
 */
int lazy_restore_attach(struct lazy_restore *restore, struct lazy_memory *memories, pid_t pid, int uffd,
			struct error *err);

/** lazy_restore_finish() - CRIU has said that all is restored */
void lazy_restore_finish(struct lazy_restore *restore);

/**
 * lazy_restore_step() - take what CRIU has sent
 * @memories: of all tasks of the images
 */
int lazy_restore_step(struct lazy_restore *restore, struct lazy_memory *memories, struct error *err);

/** lazy_restore_retry() - of all tasks. Return: 0; 1 when a task has to be looked at again soon; -1 with @err */
int lazy_restore_retry(struct lazy_restore *restore, struct error *err);

/** lazy_restore_background() - lazy_task_background() of the next task that has such pages */
int lazy_restore_background(struct lazy_restore *restore, uint64_t nr_pages, struct error *err);

/** lazy_restore_is_done() - all is restored, the program runs, and no process lacks a page; or all have ended */
bool lazy_restore_is_done(const struct lazy_restore *restore);
/** lazy_restore_is_gone() - all processes have ended */
bool lazy_restore_is_gone(const struct lazy_restore *restore);
/** lazy_restore_lost() - a process has ended that lacked pages: of itself, or since they did not come */
bool lazy_restore_lost(const struct lazy_restore *restore);
void lazy_restore_probe(struct lazy_restore *restore);
uint64_t lazy_restore_lacks(const struct lazy_restore *restore);
void lazy_restore_free(struct lazy_restore *restore);

/** lazy_restore_leave() - lazy_restore_free(), when another process goes on with the sockets */
void lazy_restore_leave(struct lazy_restore *restore);

#endif
