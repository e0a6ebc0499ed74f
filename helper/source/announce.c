// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/page.h"
#include "source/announce.h"

static int announce(struct control *ctl, uint64_t memory_bytes, uint64_t image_bytes,
		    struct error *err)
{
	Migrate__Announce announce = MIGRATE__ANNOUNCE__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	announce.memory_bytes = memory_bytes;
	announce.image_bytes = image_bytes;
	msg.body_case = MIGRATE__CONTROL__BODY_ANNOUNCE;
	msg.announce = &announce;
	return control_send(ctl, &msg, err);
}

int announce_memory(struct control *ctl, uint64_t pages, struct error *err)
{
	return announce(ctl, pages << PAGE_SHIFT, 0, err);
}

int announce_images(struct control *ctl, int images_fd, uint64_t omitted_bytes, uint64_t more_bytes,
		    struct error *err)
{
	int fd = openat(images_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	if (!dir) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_REG && !fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			bytes += st.st_size;
	closedir(dir);
	return announce(ctl, 0, bytes - omitted_bytes + more_bytes, err);
}
