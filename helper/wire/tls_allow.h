/* SPDX-License-Identifier: GPL-2.0 */
/* Files of lines, as an administrator writes them: the list of --allow, and pre-shared keys. */
#ifndef MIGRATE_WIRE_TLS_ALLOW_H
#define MIGRATE_WIRE_TLS_ALLOW_H

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * tls_line_next() - the next line of @text that is neither empty nor a comment
 * @at: where it begins; moved on. NULL before the first one
 * @bytes: of the line, without spaces around it
 * Return: the line, or NULL
 */
const char *tls_line_next(const char *text, const char **at, size_t *bytes);

/**
 * tls_allow_has() - a line of @text names the other end
 * @name: of its key, or NULL
 * @crt: its certificate, or NULL. A line names it with any name or address that the certificate is for
 */
bool tls_allow_has(const char *text, const char *name, gnutls_x509_crt_t crt);

#endif
