/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A dump's end of a page server's connection: pages of a running task go to an unmodified `criu page-server`, or to
 * ours.
 *
 * The module's pages go by reference, through a pipe: SEND writes frames of our own protocol, of which a page server
 * knows nothing. By TLS, and without the module, they are copied. The task may run: the server gets a page as it is
 * when its bytes leave this machine, and the tracker of the task's writes has it sent again.
 */
#ifndef MIGRATE_SERVICES_PAGE_SENDER_H
#define MIGRATE_SERVICES_PAGE_SENDER_H

#include "backend/backend.h"
#include "criu/page_command.h"
#include "criu/page_stream.h"
#include "criu/pagemap.h"

/** struct page_sender_counts - pages that were sent, @copied of them by copying; told as the parent's; gone */
struct page_sender_counts {
	uint64_t pages, copied, in_parent, gone;
};

/**
 * struct page_sender - one connection; used by one thread at a time
 * @stream: the connection; the struct owns neither the socket nor TLS
 * @bytes: length of a command
 * @answer_ms: the server's first answer comes within this time; @heard: it has come
 * @pipe: empty between two calls, with room for @room pages; @buf: for copies
 */
struct page_sender {
	struct page_stream stream;
	size_t bytes, room;
	int pipe[2], answer_ms;
	bool heard;
	uint8_t *buf;
	struct page_sender_counts counts;
};

/**
 * struct page_sender_task - one process
 * @runs: ascending; with the flag PAGEMAP_PRESENT, and possibly PAGEMAP_LAZY, or with PAGEMAP_PARENT alone
 */
struct page_sender_task {
	struct backend *backend;
	pid_t pid;
	const struct pagemap_entry *runs;
	size_t nr_runs;
};

/**
 * page_sender_init() - begin
 * @stream: a connected stream socket, after the handshake of TLS
 * @wide: the server is CRIU 4.2 or later; ours takes both forms. The protocol has no way to ask
 *
 * Splices to the socket: the caller ignores SIGPIPE.
 */
int page_sender_init(struct page_sender *sender, const struct page_stream *stream, bool wide,
		     struct error *err);
void page_sender_free(struct page_sender *sender);

/**
 * page_sender_task() - all runs of one process
 *
 * Pages that are gone since the runs were listed are left out. Return: -1 with @err, also when a run is the parent's
 * and the server has no parent
 */
int page_sender_task(struct page_sender *sender, const struct page_sender_task *task, struct error *err);

/**
 * page_sender_some() - one command with the first pages of @run, as many as can go together
 * @target: whose pages they are, as the command says it
 * Return: number of pages; 0: the first is gone; -1 with @err
 */
ssize_t page_sender_some(struct page_sender *sender, struct backend *backend, uint64_t target,
			 const struct pagemap_entry *run, struct error *err);

/** page_sender_close() - end the dump, and wait until the server has said that its images are complete */
int page_sender_close(struct page_sender *sender, struct error *err);

#endif
