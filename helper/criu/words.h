/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CRIU_WORDS_H
#define MIGRATE_CRIU_WORDS_H

#include <stdbool.h>

/**
 * criu_words_clean() - remove CRIU's advice on its own options, which migrate-helper does not have
 * @text: one line of CRIU's log, without the place in CRIU's source; changed in place
 *
 * The function removes the parts of sentences that name an option, and the final full stop.
 *
 * Return: false when no text is left
 */
bool criu_words_clean(char *text);

#endif
