// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a lazy-pages to lazy-source, from anybody who reaches its port. Input: the form of commands, then steps: a
 * GET of some pages of a task, another command without arguments, or a chunk of raw bytes.
 */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/page.h"
#include "criu/page_command.h"
#include "fuzz/common.h"
#include "services/lazy_answer.h"

#define TASK		77
#define FIRST		16	/* pages that the restore leaves out */
#define NR		40
#define UNREADABLE	50	/* from here on */

/* Gives no page but those that were left out. */
static int read_pages(struct backend *backend, uint64_t addr, void *buf, size_t bytes, size_t *done, struct error *err)
{
	uint64_t page = addr / PAGE_BYTES, nr_pages = bytes / PAGE_BYTES;

	fuzz_assert(!(addr % PAGE_BYTES) && !(bytes % PAGE_BYTES) && bytes);
	fuzz_assert(page >= FIRST && page + nr_pages <= FIRST + NR);
	if (nr_pages > (page < UNREADABLE ? UNREADABLE - page : 0))
		nr_pages = page < UNREADABLE ? UNREADABLE - page : 0;
	*done = nr_pages * PAGE_BYTES;
	memset(buf, 7, *done);
	return 0;
}

static void put_command(struct fuzz_pipe *pipe, struct fuzz_input *in, size_t form)
{
	static const uint32_t ids[] = {
		PAGE_COMMAND_GET, PAGE_COMMAND_GET, PAGE_COMMAND_CLOSE, PAGE_COMMAND_FORCE_CLOSE, 0, PAGE_COMMAND_ADD_FLAGS,
	};
	struct page_command command = { .id = ids[fuzz_byte(in) % (sizeof(ids) / sizeof(*ids))] };
	uint8_t raw[PAGE_COMMAND_WIDE];

	if (command.id == PAGE_COMMAND_GET) {
		command.addr = fuzz_byte(in) * PAGE_BYTES;
		command.nr_pages = fuzz_byte(in);
		command.target = TASK + fuzz_byte(in) % 2;
	}
	fuzz_pipe_put(pipe, raw, page_command_put(raw, form, &command));
}

/* The owner refuses each CLOSE: nobody's word ends a dump here. The other end reads all that it gets. */
static void settle(struct lazy_answer *answer, int far)
{
	struct pollfd fds[] = { { .fd = answer->wake_fd, .events = POLLIN }, { .fd = far, .events = POLLIN } };
	static uint8_t dropped[1 << 16];
	eventfd_t ignored;

	while (!atomic_load(&answer->ended)) {
		poll(fds, 2, 100);
		eventfd_read(answer->wake_fd, &ignored);
		while (recv(far, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
			;
		if (atomic_load(&answer->said) == LAZY_SAID_CLOSE)
			lazy_answer_settle(answer, -1);
	}
	lazy_answer_join(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct backend_ops ops = { .name = "fuzz", .read = read_pages };
	struct fuzz_input in = { data, size };
	struct fuzz_pipe pipe = fuzz_pipe_open(), criu = fuzz_pipe_open();
	struct backend backend = { .ops = &ops, .gone_fd = -1 };
	struct lazy_dump_task task = { .pid = 1, .image_pid = TASK, .backend = &backend };
	struct lazy_dump dump = { .link.fd = criu.fd, .tasks = &task, .nr = 1 };
	atomic_ulong given = 0;
	struct lazy_answer answer = {
		.stream.fd = pipe.fd, .dump = &dump, .given = &given, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	struct error err = { 0 };

	page_set_init(&task.lazy);
	fuzz_assert(!page_set_add(&task.lazy, FIRST * PAGE_BYTES, NR, &err));
	dump.form = fuzz_byte(&in) & 1 ? PAGE_COMMAND_WIDE : PAGE_COMMAND_NARROW;
	while (in.size) {
		if (fuzz_byte(&in) & 1) {
			put_command(&pipe, &in, dump.form);
		} else {
			struct fuzz_input raw = fuzz_chunk(&in);

			fuzz_pipe_put(&pipe, raw.data, raw.size);
		}
	}
	shutdown(pipe.far, SHUT_WR);
	if (!lazy_answer_start(&answer, &err))
		settle(&answer, pipe.far);
	fuzz_pipe_end(&pipe);
	fuzz_assert(atomic_load(&answer.gave) == atomic_load(&given));
	fuzz_assert(error_is_set(&answer.err) || atomic_load(&answer.said) == LAZY_SAID_ABORT);
	lazy_answer_free(&answer);
	page_set_destroy(&task.lazy);
	close(answer.wake_fd);
	fuzz_pipe_end(&criu);
	close(criu.fd);
	return 0;
}
