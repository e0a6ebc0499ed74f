/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_FUZZ_CORPUS_H
#define MIGRATE_FUZZ_CORPUS_H

#include <stddef.h>
#include <stdint.h>

/** struct bytes - an input in the making */
struct bytes {
	uint8_t data[4096];
	size_t size;
};

/** corpus_put() - more bytes; corpus_put_chunk(): behind their le16 length */
void corpus_put(struct bytes *to, const void *data, size_t size);
void corpus_put_byte(struct bytes *to, uint8_t byte);
void corpus_put_chunk(struct bytes *to, const void *data, size_t size);

/** corpus_begin() - a new input, of a target whose first byte is of flags */
void corpus_begin(struct bytes *to, uint8_t flags);

/** corpus_save() - an input of @target, as @name */
void corpus_save(const char *target, const char *name, const struct bytes *bytes);

void corpus_chain(void);
void corpus_frames(void);
void corpus_images(void);
void corpus_lazy(void);
void corpus_page_chain(void);
void corpus_lazy_answer(void);
void corpus_lazy_link(void);
void corpus_packed(void);
void corpus_pages(void);
void corpus_requests(void);
void corpus_streams(void);
void corpus_tmpfs(void);

#endif
