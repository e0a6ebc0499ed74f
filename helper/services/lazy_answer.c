// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/page.h"
#include "base/thread.h"
#include "services/lazy_answer.h"

#define HANDSHAKE_MS	30000
#define HANG_UP_MS	10000	/* wait so long for the other end to close after CLOSE */
#define HELLO		0x0316	/* a TLS client's first bytes, read as a command's id */

static int lost(struct lazy_answer *answer)
{
	const char *why = answer->stream.tls ? tls_why(answer->stream.tls) : NULL;

	if (why)
		return error_set(&answer->err, CODE_PEER, NULL, "TLS with lazy-pages ended: %s", why);
	return error_set(&answer->err, CODE_NETWORK, NULL, "the connection with lazy-pages has ended");
}

/* Pages of a program that runs again are not those that were dumped. */
static int check_held(struct lazy_answer *answer)
{
	return lazy_dump_holds(answer->dump) ? 0 :
	       error_set(&answer->err, CODE_CRIU, NULL, "criu dump holds the program no more");
}

/* Return: -1 when the first page is none that the restore leaves out */
static int check_lazy(struct lazy_answer *answer, const struct lazy_dump_task *task, uint64_t addr,
		      uint64_t nr_pages, struct run *run)
{
	uint64_t most = nr_pages < LAZY_LINK_PAGES ? nr_pages : LAZY_LINK_PAGES;

	if (addr < USER_END && !(addr % PAGE_BYTES) &&
	    page_set_next(&task->lazy, addr, addr + most * PAGE_BYTES, most, run) && run->addr == addr)
		return 0;
	return error_set(&answer->err, CODE_PEER, "--images-dir has to have the images that the restore uses",
			 "lazy-pages asks for the page at %#" PRIx64 ", which the dump has not left out", addr);
}

static int give(struct lazy_answer *answer, const struct page_command *get)
{
	const struct lazy_dump_task *task = lazy_dump_find(answer->dump, get->target);
	struct pagemap_entry entry = { .flags = PAGEMAP_PRESENT };
	struct run run;
	ssize_t done;

	if (!task)
		return error_set(&answer->err, CODE_PEER, "--images-dir has to have the images that the restore uses",
				 "lazy-pages asks for task %" PRIu64 ", which the dump does not have", get->target);
	if (check_lazy(answer, task, get->addr, get->nr_pages, &run) || check_held(answer))
		return -1;
	entry.addr = run.addr;
	entry.nr_pages = run.nr_pages;
	done = page_sender_some(&answer->sender, task->backend, get->target, &entry, &answer->err);
	if (!done)
		error_set(&answer->err, CODE_TARGET, NULL, "the page at %#" PRIx64 " of process %d cannot be read",
			  run.addr, task->pid);
	if (done > 0) {
		atomic_fetch_add(&answer->gave, done);
		atomic_fetch_add(answer->given, done);
	}
	return done > 0 ? 0 : -1;
}

static void tell_owner(struct lazy_answer *answer)
{
	eventfd_write(answer->wake_fd, 1);
}

static void wait_for_hang_up(struct lazy_answer *answer)
{
	struct pollfd pfd = { .fd = answer->stream.fd, .events = POLLIN };
	char rest[64];

	while (poll(&pfd, 1, HANG_UP_MS) > 0 && recv(answer->stream.fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

static int say_closed(struct lazy_answer *answer, bool force)
{
	atomic_store(&answer->said, LAZY_SAID_CLOSE);
	tell_owner(answer);
	while (sem_wait(&answer->settled))
		;
	if (page_stream_write(&answer->stream, &answer->status, sizeof(answer->status), false))
		return lost(answer);
	if (answer->status)
		return error_set(&answer->err, CODE_PEER, NULL, "its CLOSE was refused%s",
				 atomic_load(&answer->gave) ? "" : ", since it had asked for no page");
	if (answer->stream.tls)
		tls_end(answer->stream.tls, force ? HANG_UP_MS : 0);
	/* after FORCE_CLOSE the socket may stay open */
	if (!force)
		wait_for_hang_up(answer);
	return 0;
}

static bool is_abort(const struct page_command *command)
{
	return !command->id && !command->flags && !command->nr_pages && !command->addr && !command->target;
}

/* Return: 1 after a command, 0 after the last one, -1 with an error */
static int step(struct lazy_answer *answer)
{
	size_t form = answer->dump->form;
	struct page_command command;

	if (page_command_read(&answer->stream, &form, &command) <= 0)
		return lost(answer);
	if (command.id == PAGE_COMMAND_GET)
		return give(answer, &command) ? -1 : 1;
	if (command.id == PAGE_COMMAND_CLOSE || command.id == PAGE_COMMAND_FORCE_CLOSE)
		return say_closed(answer, command.id == PAGE_COMMAND_FORCE_CLOSE);
	if (is_abort(&command)) {
		atomic_store(&answer->said, LAZY_SAID_ABORT);
		return 0;
	}
	if (command.id == HELLO)
		return error_set(&answer->err, CODE_PEER, "give --tls to this end, too",
				 "lazy-pages speaks TLS, and lazy-source was started without it");
	return error_set(&answer->err, CODE_PEER, NULL, "lazy-pages sends command %u, which is not known here",
			 command.id);
}

static void *answer_body(void *arg)
{
	struct lazy_answer *answer = arg;
	int ret = 0;

	if (answer->trust) {
		answer->stream.tls = tls_accept(answer->stream.fd, answer->trust, answer->name, HANDSHAKE_MS,
						&answer->err);
		ret = answer->stream.tls ? 0 : -1;
	}
	if (!ret)
		ret = page_sender_init(&answer->sender, &answer->stream,
				       answer->dump->form == PAGE_COMMAND_WIDE, &answer->err);
	if (!ret)
		do
			ret = step(answer);
		while (ret > 0);
	shutdown(answer->stream.fd, SHUT_RDWR);
	atomic_store(&answer->ended, true);
	tell_owner(answer);
	return NULL;
}

int lazy_answer_start(struct lazy_answer *answer, struct error *err)
{
	answer->sender = (struct page_sender){ .pipe = BIG_PIPE_NONE };
	/* for a CLOSE that nobody settles */
	answer->status = -1;
	sem_init(&answer->settled, 0, 0);
	return thread_start(&answer->thread, answer_body, answer, err);
}

void lazy_answer_settle(struct lazy_answer *answer, int32_t status)
{
	answer->status = status;
	atomic_store(&answer->said, LAZY_SAID_NOTHING);
	sem_post(&answer->settled);
}

void lazy_answer_cut(struct lazy_answer *answer)
{
	shutdown(answer->stream.fd, SHUT_RDWR);
	sem_post(&answer->settled);
}

void lazy_answer_join(struct lazy_answer *answer)
{
	pthread_join(answer->thread, NULL);
}

void lazy_answer_free(struct lazy_answer *answer)
{
	page_sender_free(&answer->sender);
	tls_free(answer->stream.tls);
	close(answer->stream.fd);
	sem_destroy(&answer->settled);
}
