// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"

#define ESCAPE_BYTES	4	/* \xNN */

static const char more[] = "…";

static bool is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Return: length in bytes of the UTF-8 character at @at; 0: the bytes are no UTF-8 */
static size_t decode(const unsigned char *at, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t bytes = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 :
		       *at < 0xf5 ? 4 : 0;

	if (bytes < 2) {
		*character = *at;
		return bytes;
	}
	*character = *at & (0xff >> (bytes + 1));
	/* the final 0 is no continuation byte, so the loop never reads behind it */
	for (size_t i = 1; i < bytes; i++) {
		if (!is_tail(at[i]))
			return 0;
		*character = *character << 6 | (at[i] & 0x3f);
	}
	if (*character < least[bytes] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character < 0xe000))
		return 0;
	return bytes;
}

/* False for control characters, and for those that end a line or turn the direction of writing. */
static bool is_plain(uint32_t character)
{
	return character >= 0x20 && (character < 0x7f || character >= 0xa0) &&
	       character != 0x061c && (character < 0x200e || character > 0x200f) &&
	       (character < 0x2028 || character > 0x202e) &&
	       (character < 0x2066 || character > 0x2069) && character != 0xfeff;
}

void text_printable(char *to, size_t size, const char *from)
{
	const unsigned char *at = (const unsigned char *)from;
	char *end = to + size - sizeof(more), *cut = to;

	while (*at) {
		uint32_t character;
		size_t bytes = decode(at, &character), room;
		bool plain = bytes && is_plain(character);

		if (!bytes)
			bytes = 1;
		room = plain ? bytes : bytes * ESCAPE_BYTES;
		/* the place where the text is cut leaves room for the mark */
		if (to <= end)
			cut = to;
		if (to + room > end + sizeof(more) - 1) {
			memcpy(cut, more, sizeof(more));
			return;
		}
		if (plain)
			memcpy(to, at, bytes);
		for (size_t i = 0; !plain && i < bytes; i++)
			sprintf(to + i * ESCAPE_BYTES, "\\x%02x", at[i]);
		to += room;
		at += bytes;
	}
	*to = 0;
}

struct text_count text_count(uint64_t nr, const char *one, const char *many)
{
	struct text_count count;

	snprintf(count.text, sizeof(count.text), "%" PRIu64 " %s", nr, nr == 1 ? one : many);
	return count;
}

void text_clean(char **text, size_t max)
{
	size_t size = strnlen(*text, max) * ESCAPE_BYTES + sizeof(more);
	char *clean = malloc(size < max ? size : max);

	if (!clean) {
		**text = 0;
		return;
	}
	text_printable(clean, size < max ? size : max, *text);
	free(*text);
	*text = clean;
}
