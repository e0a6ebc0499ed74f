// SPDX-License-Identifier: GPL-2.0
/* The image of a tmpfs (session/tmpfs_image.h), with one file whose pages have come as object 1. Input: the image. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "dest/tmpfs.h"
#include "fuzz/common.h"
#include "tests/mm_hooks.h"

#define OBJECT	1
#define SIZE	5000

static int image_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	fuzz_assert(fd >= 0 && !io_write_all(fd, data, size) && !lseek(fd, 0, SEEK_SET));
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct objects objects;
	struct error err = { 0 };
	int root_fd = fuzz_dir(), image = image_of(data, size), before = fuzz_fds(), ret;
	struct mm *mm;

	objects_init(&objects, &no_mm_hooks, NULL, NULL);
	objects.tmpfs = &root_fd;
	objects.nr_tmpfs = 1;
	mm = objects_add_tmpfs(&objects, OBJECT, 1, &err);
	fuzz_assert(mm && !ftruncate(mm->mirror.fd, SIZE));
	ret = tmpfs_take_image(image, root_fd, 0, &objects, NULL, &err);
	fuzz_error_fits(ret, &err);
	objects_destroy(&objects);
	fuzz_assert(fuzz_fds() == before);
	close(image);
	fuzz_dir_empty(root_fd);
	return 0;
}
