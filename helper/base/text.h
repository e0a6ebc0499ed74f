/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes foreign text printable: text of the other machine, a program's name, a file's name. Raw
 * text could move the cursor of a terminal, forge a line of a log, or be no UTF-8.
 */
#ifndef MIGRATE_BASE_TEXT_H
#define MIGRATE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_MAX	512	/* bytes of the longest line that is printed, with its final 0 */

/**
 * text_printable() - copy @from so that terminals and JSON can take the copy
 * @to: gets at most @size bytes, the final 0 included; @size is at least 4
 * @from: any bytes up to a 0
 *
 * Each byte of a control character, of a character that ends a line or changes the direction of
 * writing, and each byte that is no UTF-8, becomes \xNN. Text that does not fit ends with "…".
 */
void text_printable(char *to, size_t size, const char *from);

/** struct text_count - "1 page", "2 pages" */
struct text_count {
	char text[48];
};

/** text_count() - a number with its noun; for an argument of printf: text_count(…).text */
struct text_count text_count(uint64_t nr, const char *one, const char *many);

/** text_clean() - replace *@text, from malloc(), by a printable copy of at most @max bytes */
void text_clean(char **text, size_t max);

#endif
