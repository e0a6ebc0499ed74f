// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "wire/tls_allow.h"

#define LINE_MAX_BYTES	256
#define SPACES		" \t\r"

const char *tls_line_next(const char *text, const char **at, size_t *bytes)
{
	const char *line = *at ?: text;

	while (*line) {
		size_t len = strcspn(line, "\n"), skip = strspn(line, SPACES);
		const char *next = line + len + (line[len] == '\n');

		if (skip < len && line[skip] != '#') {
			while (len > skip && strchr(SPACES, line[len - 1]))
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

bool tls_allow_has(const char *text, const char *name, gnutls_x509_crt_t crt)
{
	const char *at = NULL, *line;
	char who[LINE_MAX_BYTES];
	size_t bytes;

	while ((line = tls_line_next(text, &at, &bytes))) {
		if (bytes >= sizeof(who))
			continue;
		memcpy(who, line, bytes);
		who[bytes] = 0;
		if (name && !strcmp(name, who))
			return true;
		/* a certificate's wildcard is no line of this list */
		if (crt && gnutls_x509_crt_check_hostname2(crt, who, GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS))
			return true;
	}
	return false;
}
