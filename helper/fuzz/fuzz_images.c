// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU's images, which come from the source, up to the point where CRIU reads them. Input:
 * for each file a byte that names it, and a chunk that is its content.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "criu/criu.h"
#include "criu/image.h"
#include "fuzz/common.h"

#define FILES		12
#define PAGES_MAX	64	/* pages that are read for the parent; then the source is gone */

static const char *const names[] = {
	"pstree.img", "core-77.img", "core-79.img", "mm-77.img", "pagemap-77.img", "parent",
	"core-80.img", "inventory.img",
};

static void write_file(int dir_fd, const char *name, const struct fuzz_input *content)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	fuzz_assert(!io_write_all(fd, content->data, content->size));
	close(fd);
}

static int read_pages(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf,
		      struct error *err)
{
	uint64_t *left = ctx;

	fuzz_assert(nr_pages && addr % PAGE_BYTES == 0 && addr < USER_END &&
		    nr_pages <= (USER_END - addr) / PAGE_BYTES);
	if (nr_pages > *left)
		return error_set(err, CODE_NETWORK, NULL, "the source is gone");
	*left -= nr_pages;
	memset(buf, 0x55, nr_pages * PAGE_BYTES);
	return 0;
}

static void check_task(const struct criu_task *task)
{
	uint8_t page[PAGE_BYTES] = { 0 };

	fuzz_assert(task->nr_rseq <= task->nr_threads && task->nr_threads);
	for (size_t i = 0; i < task->nr_rseq; i++)
		criu_task_mask(task, task->rseq[i].addr & ~(PAGE_BYTES - 1), page, sizeof(page));
	for (size_t i = 0; i < task->vmas.nr; i++) {
		const struct vma *vma = &task->vmas.vmas[i];

		fuzz_assert(vma->start < vma->end && vma->end <= USER_END && vma->name);
		fuzz_assert(!i || vma[-1].end <= vma->start);
	}
}

/* Each page that the restore waits for lies where CRIU registers the userfaultfd. */
static void check_lazy(const struct criu_task *task, const struct page_set *lazy)
{
	struct run run;

	for (uint64_t at = 0; page_set_next(lazy, at, USER_END, 1UL << 20, &run);
	     at = run.addr + run.nr_pages * PAGE_BYTES) {
		const struct vma *vma = maps_find(&task->vmas, run.addr);

		fuzz_assert(vma && task->lazyable[vma - task->vmas.vmas]);
	}
}

static void rewrite(int dir_fd, const struct criu_task *task)
{
	uint64_t left = PAGES_MAX;
	struct criu_pages pages = { .read = read_pages, .ctx = &left };
	struct error err = { 0 };
	struct page_set lazy;
	int ret;

	page_set_init(&lazy);
	ret = criu_rewrite(dir_fd, task, &pages, &lazy, &err);
	fuzz_error_fits(ret, &err);
	check_lazy(task, &lazy);
	page_set_destroy(&lazy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int dir_fd = fuzz_dir(), fds = fuzz_fds();
	struct error err = { 0 };
	struct criu_task task;
	int ret;

	for (int i = 0; i < FILES && in.size; i++) {
		const char *name = names[fuzz_byte(&in) % (sizeof(names) / sizeof(*names))];
		struct fuzz_input content = fuzz_chunk(&in);

		write_file(dir_fd, name, &content);
	}
	ret = criu_task_read(dir_fd, 77, &task, &err);
	fuzz_error_fits(ret, &err);
	if (!ret) {
		check_task(&task);
		rewrite(dir_fd, &task);
		criu_task_free(&task);
	}
	fuzz_dir_empty(dir_fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
