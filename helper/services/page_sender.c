// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/page.h"
#include "services/page_sender.h"

#define BATCH_PAGES	256UL	/* by TLS whole records of 16 KiB, which CRIU's server needs */

#define TLS_END_MS	10000
#define ANSWER_MS	30000	/* for the first answer, which a server has at once */

#define TARGET(pid)	((uint64_t)(pid) << 8 | PAGE_TARGET_PROCESS)

static int lost(const struct page_sender *sender, struct error *err)
{
	const char *why = sender->stream.tls ? tls_why(sender->stream.tls) : NULL;

	if (why)
		return error_set(err, CODE_PEER, "the page server's own messages say more",
				 "TLS with the page server ended: %s", why);
	return error_set(err, CODE_NETWORK, "the page server's own messages say why",
			 "the page server hung up before it had all pages");
}

static int say(struct page_sender *sender, const struct page_command *command, struct error *err)
{
	bool more = command->id == PAGE_COMMAND_ADD_FLAGS && (command->flags & PAGEMAP_PRESENT);

	return page_command_write(&sender->stream, sender->bytes, command, more) ?
	       lost(sender, err) : 0;
}

static int hear(struct page_sender *sender, void *answer, size_t bytes, struct error *err)
{
	return page_stream_read(&sender->stream, answer, bytes) > 0 ? 0 : lost(sender, err);
}

/*
 * A server that takes commands of 32 bytes waits for the rest of ours. By TLS the socket has bytes of TLS itself, and
 * the wait has no limit.
 */
static int hear_first(struct page_sender *sender, void *answer, size_t bytes, struct error *err)
{
	struct pollfd pfd = { .fd = sender->stream.fd, .events = POLLIN };

	if (!sender->heard && !poll(&pfd, 1, sender->answer_ms))
		return error_set(err, CODE_PEER,
				 sender->bytes == PAGE_COMMAND_NARROW ?
				 "if it is CRIU 4.2 or later, say --wide" : NULL,
				 "the page server does not answer");
	sender->heard = true;
	return hear(sender, answer, bytes, err);
}

int page_sender_init(struct page_sender *sender, const struct page_stream *stream, bool wide,
		     struct error *err)
{
	*sender = (struct page_sender){
		.stream = *stream, .pipe = { -1, -1 }, .answer_ms = ANSWER_MS,
		.bytes = wide ? PAGE_COMMAND_WIDE : PAGE_COMMAND_NARROW,
		.buf = malloc(BATCH_PAGES * PAGE_BYTES),
	};
	if (!sender->buf || big_pipe_open(sender->pipe)) {
		page_sender_free(sender);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe");
	}
	/* in a smaller one fewer pages share a command */
	sender->room = fcntl(sender->pipe[1], F_GETPIPE_SZ) / PAGE_BYTES;
	return 0;
}

void page_sender_free(struct page_sender *sender)
{
	big_pipe_close(sender->pipe);
	free(sender->buf);
	sender->buf = NULL;
}

/* The first @nr pages of @part */
static int say_pages(struct page_sender *sender, uint64_t target, const struct pagemap_entry *part, uint64_t nr,
		     struct error *err)
{
	const struct page_command add = {
		.id = PAGE_COMMAND_ADD_FLAGS, .flags = part->flags, .nr_pages = nr, .addr = part->addr,
		.target = target,
	};

	return say(sender, &add, err);
}

/* Return: pages that went by reference; 0: the first can only be copied; -1 with @err */
static ssize_t send_spliced(struct page_sender *sender, struct backend *backend, uint64_t target,
			    const struct pagemap_entry *part, struct error *err)
{
	size_t nr = part->nr_pages < sender->room ? part->nr_pages : sender->room, done;

	/* TLS encrypts a copy */
	if (!backend->ops->splice || sender->stream.tls)
		return 0;
	if (backend->ops->splice(backend, part->addr, nr, sender->pipe[1], &done, err))
		return -1;
	if (!done)
		return 0;
	if (say_pages(sender, target, part, done, err))
		return -1;
	if (big_pipe_drain(sender->pipe, sender->stream.fd, done * PAGE_BYTES))
		return lost(sender, err);
	return done;
}

/* Return: pages that were copied; 0: the first is gone; -1 with @err */
static ssize_t send_copied(struct page_sender *sender, struct backend *backend, uint64_t target,
			   const struct pagemap_entry *part, struct error *err)
{
	size_t nr = part->nr_pages, bytes, pages;

	/* behind a page that cannot go by reference there may be others that can */
	if (backend->ops->splice && !sender->stream.tls)
		nr = 1;
	if (backend->ops->read(backend, part->addr, sender->buf, nr * PAGE_BYTES, &bytes,
				     err))
		return -1;
	pages = bytes / PAGE_BYTES;
	if (!pages)
		return 0;
	if (say_pages(sender, target, part, pages, err))
		return -1;
	if (page_stream_write(&sender->stream, sender->buf, pages * PAGE_BYTES, false))
		return lost(sender, err);
	sender->counts.copied += pages;
	return pages;
}

ssize_t page_sender_some(struct page_sender *sender, struct backend *backend, uint64_t target,
			 const struct pagemap_entry *run, struct error *err)
{
	struct pagemap_entry part = *run;
	ssize_t done;

	if (part.nr_pages > BATCH_PAGES)
		part.nr_pages = BATCH_PAGES;
	done = send_spliced(sender, backend, target, &part, err);
	if (!done)
		done = send_copied(sender, backend, target, &part, err);
	if (done > 0)
		sender->counts.pages += done;
	return done;
}

static int send_run(struct page_sender *sender, const struct page_sender_task *task,
		    const struct pagemap_entry *run, struct error *err)
{
	struct pagemap_entry part = *run;
	uint64_t left = run->nr_pages;

	while (left) {
		ssize_t done;

		part.nr_pages = left;
		done = page_sender_some(sender, task->backend, TARGET(task->pid), &part, err);
		if (done < 0)
			return -1;
		sender->counts.gone += !done;
		part.addr += (done ?: 1) * PAGE_BYTES;
		left -= done ?: 1;
	}
	return 0;
}

/* CRIU counts the pages of an entry in the narrow form, and in places in an int. */
static int leave_out(struct page_sender *sender, const struct page_sender_task *task,
		     const struct pagemap_entry *run, struct error *err)
{
	struct pagemap_entry part = *run;
	uint64_t left = run->nr_pages;

	while (left) {
		part.nr_pages = left < PAGEMAP_PAGES_MAX ? left : PAGEMAP_PAGES_MAX;
		if (say_pages(sender, TARGET(task->pid), &part, part.nr_pages, err))
			return -1;
		part.addr += part.nr_pages * PAGE_BYTES;
		left -= part.nr_pages;
	}
	sender->counts.in_parent += run->nr_pages;
	return 0;
}

int page_sender_task(struct page_sender *sender, const struct page_sender_task *task, struct error *err)
{
	const struct page_command open = { .id = PAGE_COMMAND_OPEN2, .target = TARGET(task->pid) };
	uint8_t has_parent;
	int ret = 0;

	if (say(sender, &open, err) || hear_first(sender, &has_parent, sizeof(has_parent), err))
		return -1;
	for (size_t i = 0; i < task->nr_runs && !ret; i++) {
		const struct pagemap_entry *run = &task->runs[i];

		if (run->flags & PAGEMAP_PRESENT)
			ret = send_run(sender, task, run, err);
		else if (has_parent)
			ret = leave_out(sender, task, run, err);
		else
			ret = error_set(err, CODE_PEER, "the page server's --prev-images-dir says where it is",
					"the page server has no older image of process %d", task->pid);
	}
	return ret;
}

int page_sender_close(struct page_sender *sender, struct error *err)
{
	const struct page_command done = { .id = PAGE_COMMAND_CLOSE };
	int32_t status;

	if (say(sender, &done, err) || hear(sender, &status, sizeof(status), err))
		return -1;
	if (status)
		return error_set(err, CODE_PEER, "the page server's own messages say why",
				 "the page server could not keep the images");
	/* a socket that is closed with bytes unread is reset, which CRIU's server takes for a failure */
	if (sender->stream.tls)
		tls_end(sender->stream.tls, TLS_END_MS);
	return 0;
}
