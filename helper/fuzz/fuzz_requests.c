// SPDX-License-Identifier: GPL-2.0
/*
 * What the destination asks of the source on the urgent connection. Input: frames as they are
 * on the wire. Pages are not sent: that takes the module (sender_pages is replaced by the linker).
 */
#include <string.h>
#include <unistd.h>
#include "fuzz/common.h"
#include "source/outgoing.h"

#define BASE	0x7f0000000000UL
#define MM	7

int __wrap_sender_pages(struct sender *sender, const struct splice_vm_run *runs,
			uint32_t nr_runs, struct error *err)
{
	uint64_t end = 0;

	fuzz_assert(sender->mm == MM && nr_runs && nr_runs <= FRAME_MAX_RUNS);
	for (uint32_t i = 0; i < nr_runs; i++) {
		fuzz_assert(runs[i].nr_pages && runs[i].addr % PAGE_BYTES == 0);
		fuzz_assert(runs[i].addr >= end);
		end = runs[i].addr + (uint64_t)runs[i].nr_pages * PAGE_BYTES;
		/* what was announced; its shared memory was not */
		fuzz_assert(runs[i].addr >= BASE && end <= BASE + 1002 * PAGE_BYTES);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vma vmas[] = {
		{ .start = BASE, .end = BASE + 1000 * PAGE_BYTES },
		{ .start = BASE + 1000 * PAGE_BYTES, .end = BASE + 1002 * PAGE_BYTES, .special = true },
		{ .start = BASE + 1010 * PAGE_BYTES, .end = BASE + 1020 * PAGE_BYTES, .shared = true },
	};
	static struct outgoing out;
	struct error err = { 0 };
	struct fuzz_pipe pipe = fuzz_pipe_open();
	int ret;

	memset(&out, 0, sizeof(out));
	pthread_mutex_init(&out.left_lock, NULL);
	mailbox_init(&out.box, "the destination");
	if (page_set_init(&out.left) || page_set_add(&out.left, BASE, 1000, &err))
		abort();
	out.task.vmas = (struct vma_list){ .vmas = vmas, .nr = 3 };
	out.memory.final = true;
	out.urgent.mm = MM;
	out.memory_conn = CONN_NONE;
	out.urgent_conn = (struct conn){ .fd = pipe.fd };
	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	outgoing_serve_requests(&out);
	ret = out.box.failed ? -1 : 0;
	fuzz_error_fits(ret, &out.box.err);
	fuzz_assert(out.left.nr <= 1000);
	close(pipe.fd);
	page_set_destroy(&out.left);
	mailbox_destroy(&out.box);
	pthread_mutex_destroy(&out.left_lock);
	return 0;
}
