/* SPDX-License-Identifier: GPL-2.0 */
/* The options of TLS, the same words at both ends of a migration: rows of a table, for a verb's @type with a struct tls_options tls. */
#ifndef MIGRATE_CLI_TLS_OPTIONS_H
#define MIGRATE_CLI_TLS_OPTIONS_H

#include "cli/options.h"
#include "wire/tls_keys.h"

#define CLI_TLS_PSK(type)							\
	{									\
		"tls-psk", "FILE",						\
		"pre-shared key for TLS, the same file at both ends\n"		\
		"(\"migrate-helper keygen --psk\")",				\
		.word = offsetof(type, tls.psk)					\
	}

#define CLI_TLS_DIR(type)							\
	{									\
		"tls-dir", "DIR",						\
		"cert.pem, key.pem and ca.pem for TLS (\"migrate-helper\n"	\
		"keygen --ca\"), or psk (" TLS_DEFAULT_DIR ",\n"		\
		"if it is there)",						\
		.word = offsetof(type, tls.dir)					\
	}

#define CLI_NO_KTLS(type)							\
	{									\
		"no-ktls",							\
		.text = "encrypt in this program even where the kernel could: slower", \
		.flag = offsetof(type, tls.no_ktls)				\
	}

#endif
