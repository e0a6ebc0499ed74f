// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "wire/tls_allow.h"

#define NAME_BYTES	256

const char *tls_line_next(const char *text, const char **at, size_t *bytes)
{
	const char *line = *at ?: text;

	while (*line) {
		size_t len = strcspn(line, "\n"), skip = strspn(line, TLS_SPACES);
		const char *next = line + len + (line[len] == '\n');

		if (skip < len && line[skip] != '#') {
			while (len > skip && strchr(TLS_SPACES, line[len - 1]))
				len--;
			*at = next;
			*bytes = len - skip;
			return line + skip;
		}
		line = next;
	}
	*at = line;
	return NULL;
}

bool tls_allow_split(const char *line, size_t bytes, char *name, size_t name_size, char *words, size_t words_size)
{
	size_t len = 0, skip;

	while (len < bytes && !strchr(TLS_SPACES, line[len]))
		len++;
	for (skip = len; skip < bytes && strchr(TLS_SPACES, line[skip]);)
		skip++;
	if (len >= name_size || bytes - skip >= words_size)
		return false;
	memcpy(name, line, len);
	name[len] = 0;
	memcpy(words, line + skip, bytes - skip);
	words[bytes - skip] = 0;
	return true;
}

bool tls_allow_find(const char *text, const char *name, gnutls_x509_crt_t crt, char *words)
{
	const char *at = NULL, *line;
	char who[NAME_BYTES];
	size_t bytes;

	while ((line = tls_line_next(text, &at, &bytes))) {
		if (!tls_allow_split(line, bytes, who, sizeof(who), words, TLS_RULE_BYTES))
			continue;
		if (name && !strcmp(name, who))
			return true;
		/* a certificate's wildcard is no line of this list */
		if (crt && gnutls_x509_crt_check_hostname2(crt, who, GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS))
			return true;
	}
	*words = 0;
	return false;
}
