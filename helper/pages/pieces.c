// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "pages/space.h"

int pieces_add(struct pieces *pieces, uint64_t start, uint64_t end, uint64_t origin,
	       struct error *err)
{
	for (size_t i = 0; i < pieces->nr; i++) {
		const struct space_piece *piece = &pieces->list[i];

		if (piece->start <= start && end <= piece->end &&
		    piece->origin + (start - piece->start) == origin)
			return 0;
	}
	if (pieces->nr == pieces->cap) {
		size_t cap = pieces->cap ? 2 * pieces->cap : 16;
		struct space_piece *list = realloc(pieces->list, cap * sizeof(*list));

		if (!list)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for an event");
		pieces->list = list;
		pieces->cap = cap;
	}
	pieces->list[pieces->nr++] = (struct space_piece){ start, end, origin };
	return 0;
}

void pieces_drop_first(struct pieces *pieces)
{
	pieces->nr--;
	memmove(pieces->list, pieces->list + 1, pieces->nr * sizeof(*pieces->list));
}

bool pieces_has(const struct pieces *pieces, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < pieces->nr; i++)
		if (pieces->list[i].start < end && start < pieces->list[i].end)
			return true;
	return false;
}

bool pieces_has_origin(const struct pieces *pieces, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < pieces->nr; i++) {
		const struct space_piece *piece = &pieces->list[i];

		if (piece->origin < end && start < piece->origin + (piece->end - piece->start))
			return true;
	}
	return false;
}

bool pieces_part(const struct pieces *pieces, uint64_t addr, uint64_t *nr_pages)
{
	uint64_t border = addr + *nr_pages * PAGE_BYTES;
	bool ret = false;

	for (size_t i = 0; i < pieces->nr; i++) {
		const struct space_piece *piece = &pieces->list[i];

		ret |= piece->start <= addr && addr < piece->end;
		if (addr < piece->start && piece->start < border)
			border = piece->start;
		if (addr < piece->end && piece->end < border)
			border = piece->end;
	}
	*nr_pages = (border - addr) / PAGE_BYTES;
	return ret;
}
