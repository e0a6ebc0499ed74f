/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A keeper: a process that outlives its helper, and acts when the helper ends. Each end of a migration
 * has one (source/keeper.h, dest/keeper.h). Here is the part that both have: how the process is
 * started, asked, and sees the helper end. The answers are each end's own (source/kept.c, dest/kept.c).
 *
 * Helper and keeper are the same program, so that they exchange structs as they are in memory.
 */
#ifndef MIGRATE_SESSION_KEEPER_H
#define MIGRATE_SESSION_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/fdpass.h"

#define KEEPER_ANSWER_MS	30000	/* for a request without a limit of its own */
#define KEEPER_GRACE_MS		15000	/* for the end of a helper that was killed */

/**
 * struct keeper_msg - a request, or the answer to one
 * @op: what is asked; each end has its own list
 * @seq: set by keeper_process_ask(); an answer has that of its request
 * @value: argument or result, as @op says
 * @err: of an answer: the reason of a failure
 */
struct keeper_msg {
	unsigned int op, seq;
	int value;
	struct error err;
};

/**
 * struct keeper_turn - one request, as the keeper's process sees it
 * @request: read only
 * @answer: all zeros at first, but for @op and @seq
 * @fds: came with the request, or -1; the process sets one that it keeps to -1, the others are closed
 * @answer_fd: goes out with the answer, and is closed here; -1: none
 * @quiet: set for a request of keeper_process_tell(): no answer goes out
 */
struct keeper_turn {
	struct keeper_msg request, answer;
	int fds[FDPASS_MAX], answer_fd;
	bool quiet;
};

/**
 * struct keeper_ops - what the keeper's process does; @ctx is that of struct keeper_loop
 * @begin: before the first request; may be NULL
 * @request: Return: false when the process is to end after its answer
 * @answered: the answer is out; may be NULL
 * @late: struct keeper_loop.until_ns is over, and the helper is killed next; may be NULL when no limit
 *	is set
 * @alone: the helper has ended. Return: true when the process goes on until @child_ended says otherwise
 * @child_ended: a child of the process may have ended. Return: false when the process is to end. NULL:
 *	it has no children
 */
struct keeper_ops {
	void (*begin)(void *ctx);
	bool (*request)(void *ctx, struct keeper_turn *turn);
	void (*answered)(void *ctx, const struct keeper_turn *turn);
	void (*late)(void *ctx);
	bool (*alone)(void *ctx);
	bool (*child_ended)(void *ctx);
};

/**
 * struct keeper_loop - of the keeper's process
 * @keep: descriptors that stay open in it; -1, or 0: none
 * @until_ns: clock_now_ns() at which a helper that has asked for nothing more is killed; 0: no limit
 * @sock: to the helper; -1: the helper has ended
 * @helper_fd: pidfd of the helper
 * @signals: signalfd for children; -1: @ops has no child_ended
 */
struct keeper_loop {
	const struct keeper_ops *ops;
	void *ctx;
	int keep[3];
	uint64_t until_ns;
	int sock, helper_fd, signals;
};

/**
 * struct keeper_process - the helper's end
 * @lock: one request at a time; a leaf lock
 * @sock: hangs up when the keeper is dead: others may poll it, no more
 * @pidfd: of the keeper: signals never reach a process that has got its pid later
 */
struct keeper_process {
	pthread_mutex_t lock;
	int sock, pidfd;
	unsigned int seq;
	pid_t pid;
};

/**
 * keeper_process_start() - fork it, before there are connections or threads
 * @loop: @ops, @ctx and @keep are filled
 *
 * The process runs @loop, and does not return from here.
 */
int keeper_process_start(struct keeper_process *process, struct keeper_loop *loop,
			 struct error *err);

/**
 * enum keeper_answer - what became of a request
 * @KEEPER_OK: it was done
 * @KEEPER_FAILED: the keeper says why not, in @err
 * @KEEPER_SILENT: no answer within the time, or the keeper is dead: @err says so. A keeper that lives
 *	may still act on the request
 */
enum keeper_answer { KEEPER_OK, KEEPER_FAILED, KEEPER_SILENT };

/**
 * keeper_process_ask() - any thread
 * @msg: the request, and afterwards the answer
 * @fds: duplicates of these go with it
 * @answer_fd: filled with the descriptor that came with the answer, or -1; NULL: none is expected
 */
enum keeper_answer keeper_process_ask(struct keeper_process *process, struct keeper_msg *msg,
				      const int *fds, size_t nr_fds, int *answer_fd, int timeout_ms,
				      struct error *err);

/**
 * keeper_process_tell() - a request without an answer; any thread
 *
 * The keeper takes it before all later requests, and also when this process dies next: what is in the socket by then
 * is read before its end.
 */
int keeper_process_tell(struct keeper_process *process, struct keeper_msg *msg, const int *fds,
			size_t nr_fds, struct error *err);

/** keeper_data_fd() - a descriptor that a request can take along, with @bytes of @data; -1 with errno */
int keeper_data_fd(const void *data, size_t bytes);
/** keeper_data_read() - in the keeper's process: what is in such a descriptor; -1 with errno */
int keeper_data_read(int fd, void *data, size_t bytes);

/** keeper_protect() - in a keeper's process: the OOM killer takes other processes first */
void keeper_protect(void);

/** keeper_process_kill() - one that is stuck must not act later; nothing when it is dead */
void keeper_process_kill(struct keeper_process *process);
/** keeper_process_wait() - until it has ended, or @timeout_ms (-1: as long as that takes); reaps it. Return: it has ended */
bool keeper_process_wait(struct keeper_process *process, int timeout_ms);
/** keeper_process_close() - hang up: to the keeper, the helper has ended */
void keeper_process_close(struct keeper_process *process);

#endif
