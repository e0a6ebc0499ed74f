/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors that the caller opened and the command line names, as p.haul's: --fdrpc, --fdmem, --fdfs, --msgfd. Both ends check
 * them alike, before anything is done.
 */
#ifndef MIGRATE_WIRE_GIVEN_H
#define MIGRATE_WIRE_GIVEN_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "wire/conn.h"
#include "wire/tls_keys.h"

#define GIVEN_MEM_MAX	(1 + STREAMS_MAX)	/* the urgent connection, and memory streams */

/**
 * struct given - numbers of descriptors; -1: not given
 * @rpc: the control connection, with @mem in place of an address
 * @mem: the first memory stream, the urgent connection, then the other streams
 * @fs: for files; @msg: of a manager (wire/msgfd.h)
 * @insecure: the user wants no TLS on @rpc and @mem
 */
struct given {
	int rpc, mem[GIVEN_MEM_MAX], fs, msg;
	size_t nr_mem;
	bool insecure;
};

#define GIVEN_NONE	((struct given){ .rpc = -1, .fs = -1, .msg = -1 })

/** given_has_link() - the connections of the migration are given */
static inline bool given_has_link(const struct given *given)
{
	return given->rpc >= 0 || given->nr_mem;
}

/** given_check() - each is a connected stream socket, and none is given twice; none is inherited by other programs from here on */
int given_check(const struct given *given, struct error *err);

/**
 * given_find_keys() - for TLS on @rpc and @mem: all of them when one is TCP, or when @opts name keys
 *
 * Return: 0, or -1 with CODE_USAGE: TCP without keys needs the user's word; or CODE_NOT_READY for a file
 */
int given_find_keys(const struct given *given, struct tls_keys *keys, const struct tls_options *opts, struct error *err);

#endif
