/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CRIU_WORDS_H
#define MIGRATE_CRIU_WORDS_H

#include <stdbool.h>

/**
 * criu_words_clean() - take the advice out of a message of CRIU's: its options are not ours
 * @text: one line of its log, without the place in the source; changed in place
 *
 * Parts of sentences that name an option go. What is left has no full stop at its end.
 *
 * Return: false when nothing is left
 */
bool criu_words_clean(char *text);

#endif
