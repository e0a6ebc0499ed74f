// SPDX-License-Identifier: GPL-2.0
#include "backend/run_list.h"
#include "source/first_pages.h"

#define STACK_PAGES	2U	/* with the one above the stack pointer: a frame may go on there */

static int add_stacks(const struct criu_task *task, struct page_set *pages, struct error *err)
{
	for (size_t i = 0; i < task->nr_stacks && pages->nr < FIRST_PAGES_MAX; i++) {
		uint64_t page = task->stacks[i] & ~(PAGE_BYTES - 1);

		if (page < USER_END - STACK_PAGES * PAGE_BYTES &&
		    page_set_add(pages, page, STACK_PAGES, err))
			return -1;
	}
	return 0;
}

/* Whatever is not unsent is left out: what the destination has, and what is no memory of the program's own. */
static int send_unsent(struct sender *sender, struct source_mm *mm, const struct page_set *pages,
		       uint32_t *left, struct error *err)
{
	struct splice_vm_run runs[FIRST_PAGES_MAX], found[FIRST_PAGES_MAX];
	uint64_t at = 0;
	uint32_t nr = runs_take(pages, &at, runs, FIRST_PAGES_MAX, *left);

	nr = source_mm_look_unsent(mm, runs, nr, found, FIRST_PAGES_MAX);
	if (!nr)
		return 0;
	for (uint32_t i = 0; i < nr; i++)
		*left -= found[i].nr_pages < *left ? found[i].nr_pages : *left;
	source_mm_claim(mm, found, nr);
	return sender_pages(sender, mm, found, nr, err);
}

static int send_process(struct sender *sender, struct source_process *process, uint32_t *left,
			struct error *err)
{
	struct page_set pages = { 0 };
	int ret = criu_task_add_rseq(&process->task, &pages, err) ||
		  add_stacks(&process->task, &pages, err) ||
		  send_unsent(sender, &process->mm, &pages, left, err) ? -1 : 0;

	page_set_destroy(&pages);
	return ret;
}

int first_pages_send(struct sender *sender, const struct tree *tree, struct error *err)
{
	uint32_t left = FIRST_PAGES_MAX;
	struct source_process *process;

	tree_for_each(tree, process)
		if (left && send_process(sender, process, &left, err))
			return -1;
	return 0;
}
