/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the fuzz targets. A target gives bytes of the other side to the helper's
 * functions, and aborts where a function breaks a promise of its header.
 */
#ifndef MIGRATE_FUZZ_COMMON_H
#define MIGRATE_FUZZ_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** fuzz_assert() - a promise of the helper; libFuzzer takes the abort() for a crash */
#define fuzz_assert(promise) do {						\
	if (!(promise)) {							\
		fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
		abort();							\
	}									\
} while (0)

/** struct fuzz_input - the bytes that were not taken yet */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/** fuzz_byte() - the next byte; 0 at the end */
uint8_t fuzz_byte(struct fuzz_input *in);

/** fuzz_take() - the next @bytes bytes, or what is left of them; never more than there are */
struct fuzz_input fuzz_take(struct fuzz_input *in, size_t bytes);

/** fuzz_chunk() - bytes behind a le16 length; a length that is too long takes all the rest */
struct fuzz_input fuzz_chunk(struct fuzz_input *in);

/**
 * struct fuzz_pipe - a stream socket, filled before it is read
 * @fd: the helper's end; the reader closes it
 * @far: the other side's end
 *
 * The socket takes what fits into its buffer, so that a target never waits: the rest is lost,
 * as if the other side had died.
 */
struct fuzz_pipe {
	int fd, far;
};

struct fuzz_pipe fuzz_pipe_open(void);
void fuzz_pipe_put(struct fuzz_pipe *pipe, const void *data, size_t bytes);
/** fuzz_pipe_end() - the other side says nothing more */
void fuzz_pipe_end(struct fuzz_pipe *pipe);

/** fuzz_dir() - descriptor of an empty directory on tmpfs, made once, removed at exit */
int fuzz_dir(void);
/** fuzz_dir_path() - its path */
const char *fuzz_dir_path(void);
/** fuzz_dir_empty() - remove all that is in the directory */
void fuzz_dir_empty(int dir_fd);

/** fuzz_fds() - how many descriptors are open: equal before and after an input */
int fuzz_fds(void);

/** fuzz_error_fits() - a failure says why, and a success does not */
static inline void fuzz_error_fits(int ret, const struct error *err)
{
	fuzz_assert(error_is_set(err) == (ret < 0));
}

#endif
