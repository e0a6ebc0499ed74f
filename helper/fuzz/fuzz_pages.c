// SPDX-License-Identifier: GPL-2.0
/*
 * A connection to the page server. Input: a byte, 1 for the wide form, then commands: a byte whose lower half
 * chooses the command and whose upper half has flags; and what it takes. A byte 15 is followed by raw bytes. Each
 * compressed page is a byte, 255 for one page, otherwise the length of the raw bytes that follow.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/page.h"
#include "criu/pagemap.h"
#include "fuzz/common.h"
#include "services/page_receiver.h"

#define COMMAND_RAW	15
#define PAGES_MAX	8	/* the content of more pages does not fit into the socket */

static const uint32_t ids[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 0x1023, 0x1024, 9, 0,
};

static const uint64_t targets[] = {
	77 << 8 | 1, 78 << 8 | 1, 77 << 8 | 2, 77 << 8 | 11, 77 << 8 | 34, 77 << 8 | 3, 0, UINT64_MAX,
};

static void put_command(struct fuzz_pipe *pipe, bool wide, uint32_t id, uint32_t flags, uint64_t nr,
			uint64_t addr, uint64_t target)
{
	struct {
		uint32_t cmd, nr_pages;
		uint64_t addr, target;
	} narrow = { flags << 16 | id, nr, addr, target };
	struct {
		uint32_t cmd, pad;
		uint64_t nr_pages, addr, target;
	} wide_form = { flags << 16 | id, 0, nr, addr, target };

	if (wide)
		fuzz_pipe_put(pipe, &wide_form, sizeof(wide_form));
	else
		fuzz_pipe_put(pipe, &narrow, sizeof(narrow));
}

/* What follows a command of the input: pages, at most PAGES_MAX */
static void put_content(struct fuzz_pipe *pipe, struct fuzz_input *in, bool packed, uint64_t nr)
{
	static const uint8_t page[PAGE_BYTES];

	for (uint64_t i = 0; i < nr && i < PAGES_MAX; i++) {
		uint8_t length = packed ? fuzz_byte(in) : 255;
		uint32_t bytes = length == 255 ? PAGE_BYTES : length;
		struct fuzz_input raw = { page, PAGE_BYTES };

		if (length != 255)
			raw = fuzz_take(in, length);
		if (packed)
			fuzz_pipe_put(pipe, &bytes, sizeof(bytes));
		fuzz_pipe_put(pipe, raw.data, raw.size);
	}
}

/* Fields with small steps, so that entries often follow each other; 0xff in a step makes them huge. */
static void put_next(struct fuzz_pipe *pipe, bool wide, struct fuzz_input *in, uint64_t *at)
{
	uint8_t head = fuzz_byte(in), target = fuzz_byte(in), step, pages;
	uint32_t id = ids[(head & 15) % (sizeof(ids) / sizeof(*ids))], flags = head >> 4;
	struct fuzz_input raw;
	uint64_t nr;

	if ((head & 15) == COMMAND_RAW) {
		raw = fuzz_take(in, target);
		fuzz_pipe_put(pipe, raw.data, raw.size);
		return;
	}
	step = fuzz_byte(in);
	pages = fuzz_byte(in);
	nr = pages == 0xff ? 1UL << 50 : pages;
	*at += step == 0xff ? 1UL << 40 : step;
	put_command(pipe, wide, id, flags, nr, *at * PAGE_BYTES,
		    id >= 0x1023 ? 0 : targets[target % (sizeof(targets) / sizeof(*targets))]);
	*at += nr;
	if (id == 1 || ((id == 6 || id == 8) && (flags & PAGEMAP_PRESENT)))
		put_content(pipe, in, id == 8, nr);
}

/* Each image that has its name is whole. */
static void check_image(int dir_fd, const char *name)
{
	struct pagemap_entry entry = { 0 };
	char pages[IMAGE_NAME_MAX];
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;
	uint64_t present = 0;
	struct stat st;
	int ret;

	fuzz_assert(!image_open(&image, dir_fd, name, IMAGE_PAGEMAP, &err));
	fuzz_assert(image_next(&image, &img__pagemap_head__descriptor, &msg, &err) == 1);
	snprintf(pages, sizeof(pages), "pages-%u.img", ((Img__PagemapHead *)msg)->pages_id);
	protobuf_c_message_free_unpacked(msg, NULL);
	while ((ret = image_next(&image, &img__pagemap_entry__descriptor, &msg, &err)) > 0) {
		uint64_t from = entry.addr + entry.nr_pages * PAGE_BYTES;

		fuzz_assert(!pagemap_get((Img__PagemapEntry *)msg, from, &entry, &err));
		if (entry.flags & PAGEMAP_PRESENT)
			present += entry.nr_pages;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	fuzz_assert(!ret && !fstatat(dir_fd, pages, &st, 0));
	fuzz_assert((uint64_t)st.st_size == present * PAGE_BYTES);
	image_close(&image);
}

static void check_images(int dir_fd, const struct page_receiver *receiver)
{
	DIR *stream = fdopendir(openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC));
	struct dirent *entry;
	size_t maps = 0;

	while ((entry = readdir(stream))) {
		fuzz_assert(!strstr(entry->d_name, PART_SUFFIX));
		if (strncmp(entry->d_name, "pagemap-", 8))
			continue;
		check_image(dir_fd, entry->d_name);
		maps++;
	}
	closedir(stream);
	fuzz_assert(maps == (receiver->closed ? receiver->nr_made : 0));
}

/* The parent has the first 64 pages of object 77. */
static void write_parent(int dir_fd)
{
	struct error err = { 0 };
	struct image_out out;

	fuzz_assert(!mkdirat(dir_fd, "before", 0700));
	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	pagemap_put(&out, 0, 64, PAGEMAP_PARENT);
	fuzz_assert(!image_out_store(&out, dir_fd, "before/pagemap-77.img", &err));
	image_out_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int dir_fd = fuzz_dir(), fds = fuzz_fds();
	struct page_receiver receiver;
	struct error err = { 0 };
	struct fuzz_pipe pipe;
	struct image_dir dir;
	uint64_t at = 0;
	bool wide;

	write_parent(dir_fd);
	fuzz_assert(!image_dir_open(&dir, fuzz_dir_path(), "before", &err));
	dir.no_fsync = true;
	pipe = fuzz_pipe_open();
	page_receiver_init(&receiver, pipe.fd, &dir);
	wide = fuzz_byte(&in) & 1;
	while (in.size)
		put_next(&pipe, wide, &in, &at);
	/* it hears the answers */
	shutdown(pipe.far, SHUT_WR);
	page_receiver_run(&receiver);
	fuzz_pipe_end(&pipe);
	fuzz_assert(receiver.closed || error_is_set(&receiver.err));
	check_images(dir_fd, &receiver);
	page_receiver_free(&receiver);
	image_dir_close(&dir);
	fuzz_dir_empty(dir_fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
