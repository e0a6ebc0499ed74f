/* SPDX-License-Identifier: GPL-2.0 */
/* Files of lines, as an administrator writes them: the list of --allow, and pre-shared keys. */
#ifndef MIGRATE_WIRE_TLS_ALLOW_H
#define MIGRATE_WIRE_TLS_ALLOW_H

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>

#define TLS_RULE_BYTES	256	/* of what follows a name in the list of --allow */
#define TLS_SPACES	" \t\r"

/**
 * tls_line_next() - the next line of @text that is neither empty nor a comment
 * @at: where it begins; moved on. NULL before the first one
 * @bytes: of the line, without spaces around it
 * Return: the line, or NULL
 */
const char *tls_line_next(const char *text, const char **at, size_t *bytes);

/**
 * tls_allow_split() - the first word of a line, and the rest
 * Return: false: one of them is too long
 */
bool tls_allow_split(const char *line, size_t bytes, char *name, size_t name_size, char *words, size_t words_size);

/**
 * tls_allow_find() - the first line of @text that names the other end
 * @name: of its key, or NULL
 * @crt: its certificate, or NULL. A line names it with any name or address that the certificate is for
 * @words: TLS_RULE_BYTES, filled with what follows the name: what it may send (dest/sender_rule.h)
 */
bool tls_allow_find(const char *text, const char *name, gnutls_x509_crt_t crt, char *words);

#endif
