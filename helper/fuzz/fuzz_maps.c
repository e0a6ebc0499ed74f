// SPDX-License-Identifier: GPL-2.0
/* The text of /proc/PID/maps and smaps, which holds names that the program chose. */
#include <string.h>
#include "fuzz/common.h"
#include "os/maps.h"
#include "pages/page_set.h"

/*
 * FUZZ_FAULT puts a fault in, so that it is known that such are found: 1 reads behind the
 * end of the heap, 2 leaks, 3 never ends. The corpus has no input that comes here.
 */
static void fault(const struct vma_list *list)
{
#ifdef FUZZ_FAULT
	volatile uint8_t *heap;

	if (!list->nr || !list->vmas[0].growsdown || !list->vmas[0].uffd)
		return;
	heap = malloc(1 + list->nr);
	while (FUZZ_FAULT == 3)
		heap[0]++;
	if (FUZZ_FAULT == 1)
		heap[1] = heap[1 + list->nr];
	heap[0] = 1;
	if (FUZZ_FAULT != 2)
		free((void *)heap);
#endif
}

static void check(const struct vma_list *list)
{
	for (size_t i = 0; i < list->nr; i++) {
		const struct vma *vma = &list->vmas[i];

		fuzz_assert(vma->start < vma->end && vma->end <= USER_END);
		fuzz_assert(vma->name && !strchr(vma->name, '\n'));
		fuzz_assert(!i || vma[-1].end <= vma->start);
		fuzz_assert(maps_find(list, vma->start) == vma);
		fuzz_assert(maps_find(list, vma->end - 1) == vma);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *file = fmemopen((void *)data, size, "r");
	struct error err = { 0 };
	struct vma_list list;
	int ret;

	if (!file)
		return 0;
	ret = maps_parse(file, &list, &err);
	fuzz_error_fits(ret, &err);
	check(&list);
	fault(&list);
	maps_free(&list);
	fclose(file);
	return 0;
}
