/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_RATE_H
#define MIGRATE_CLI_RATE_H

#include <stdint.h>

/**
 * rate_parse() - parse a rate of data: "1Gbit/s", "100MiB/s", "12.5MB/s"
 * Return: as cli_option.take
 */
const char *rate_parse(const char *text, uint64_t *bytes_per_s);

#endif
