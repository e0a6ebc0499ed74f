// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include "criu/words.h"

/* True when this part of a message advises an option of CRIU. */
static bool is_advice(const char *part, size_t bytes)
{
	static const char *const begin[] = { "use ", "consider ", "increase ", "try " };

	for (size_t i = 0; i < sizeof(begin) / sizeof(*begin); i++)
		if (bytes >= strlen(begin[i]) && !strncasecmp(part, begin[i], strlen(begin[i])))
			return true;
	return memmem(part, bytes, "--", 2);
}

/* Return: length of the next part of a sentence, with the punctuation behind it */
static size_t part_length(const char *text)
{
	for (const char *at = text; *at; at++)
		if (strchr(".,;", at[0]) && at[1] == ' ')
			return at - text + 2;
	return strlen(text);
}

bool criu_words_clean(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		size_t bytes = part_length(from);

		if (!is_advice(from, bytes)) {
			memmove(to, from, bytes);
			to += bytes;
		}
		from += bytes;
	}
	while (to > text && strchr(" .,;\n", to[-1]))
		to--;
	*to = 0;
	return to > text;
}
