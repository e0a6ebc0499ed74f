// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/page.h"
#include "pages/sets.h"
#include "source/recopy.h"

/** struct recopy - @piece, @done: of @omit: the next page of the image lies @done bytes behind the piece's begin */
struct recopy {
	struct source_process *process;
	const struct omit *omit;
	size_t piece;
	uint64_t done;
	int fd;
};

static uint64_t next_offset(struct recopy *recopy)
{
	const struct omit_piece *piece = &recopy->omit->pieces[recopy->piece];
	uint64_t offset = piece->offset + recopy->done;

	recopy->done += PAGE_BYTES;
	if (recopy->done == piece->bytes) {
		recopy->piece++;
		recopy->done = 0;
	}
	return offset;
}

static int copy_page(const struct recopy *recopy, uint64_t addr, uint64_t offset, struct error *err)
{
	struct backend *backend = recopy->process->mm.backend;
	uint8_t page[PAGE_BYTES];
	size_t done;

	if (backend->ops->read(backend, addr, page, sizeof(page), &done, err))
		return -1;
	/* what cannot be read is as CRIU found it */
	if (done < sizeof(page) || pwrite(recopy->fd, page, sizeof(page), offset) == (ssize_t)sizeof(page))
		return 0;
	return error_errno(err, CODE_CRIU, NULL, "cannot write image %s", recopy->omit->name);
}

static int copy_run(struct recopy *recopy, const struct run *run, struct error *err)
{
	for (uint64_t addr = run->addr; addr < run_end(run); addr += PAGE_BYTES) {
		const struct vma *vma = maps_find(&recopy->process->task.vmas, addr);
		uint64_t offset = next_offset(recopy);

		if (vma && vma->prot & PROT_EXEC && copy_page(recopy, addr, offset, err))
			return -1;
	}
	return 0;
}

int recopy_code(int dir_fd, struct source_process *process, const struct page_set *carried,
		const struct omit *omit, struct error *err)
{
	struct recopy recopy = { .process = process, .omit = omit };
	uint64_t addr = 0;
	struct run run;
	int ret = 0;

	if (!carried->nr)
		return 0;
	recopy.fd = openat(dir_fd, omit->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (recopy.fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot open image %s", omit->name);
	for (; !ret && page_set_next(carried, addr, USER_END, 0, &run); addr = run_end(&run))
		ret = copy_run(&recopy, &run, err);
	close(recopy.fd);
	return ret;
}
