// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of the destination on the urgent connection. Input: frames as they are
 * on the wire. Pages are not sent: that takes the module (sender_pages is replaced by the linker).
 */
#include <unistd.h>
#include "fuzz/common.h"
#include "source/requests.h"
#include "tests/conn_fd.h"

#define BASE	0x7f0000000000UL
#define MM	7

int __wrap_sender_pages(struct sender *sender, struct source_mm *mm,
			const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	uint64_t end = 0;

	fuzz_assert(mm->object == MM && nr_runs && nr_runs <= FRAME_MAX_RUNS);
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
	const struct vma_list list = { .vmas = vmas, .nr = 3 };
	static struct source_process process, *processes = &process;
	const struct tree tree = { .processes = &processes, .nr = 1, .fixed = true };
	struct mailbox box;
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct sender urgent = { .conn = CONN(pipe.fd) };
	struct requests requests = { .tree = &tree, .sender = &urgent, .box = &box };
	struct error err = { 0 };

	source_mm_init(&process.mm, MM, getpid());
	if (page_set_add(&process.mm.unsent, BASE, 1000, &err))
		abort();
	mailbox_init(&box, "the destination");
	process.mm.frozen_vmas = &list;
	process.mm.final = true;
	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	fuzz_error_fits(requests_serve(&requests, &err), &err);
	fuzz_assert(process.mm.unsent.nr <= 1000);
	close(pipe.fd);
	source_mm_destroy(&process.mm);
	mailbox_destroy(&box);
	return 0;
}
