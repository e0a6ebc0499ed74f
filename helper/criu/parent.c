// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "criu/criu.h"
#include "criu/inventory.h"
#include "criu/pagemap.h"

static int empty_pages_write(int dir_fd, struct error *err)
{
	int fd = openat(dir_fd, "pages-1.img", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot create an empty pages image");
	close(fd);
	return 0;
}

int criu_parent_add(int dir_fd, pid_t pid, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct image_out out;
	int ret;

	pagemap_name(name, pid);
	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	pagemap_put(&out, 0, USER_END / PAGE_BYTES, PAGEMAP_PRESENT);
	ret = image_out_store(&out, dir_fd, name, err);
	image_out_free(&out);
	return ret;
}

int criu_parent_write(int dir_fd, struct error *err)
{
	return empty_pages_write(dir_fd, err) ||
	       inventory_write(dir_fd, clock_ns(CLOCK_BOOTTIME) / 1000, PREDUMP_MODE_NONE, err) ? -1 : 0;
}
