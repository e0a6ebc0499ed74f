// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/clock.h"
#include "services/image_files.h"

#define INVENTORY	"inventory.img"
#define PAGEMAP		"pagemap-"

static int forward_through(struct image_uplink *up, int image, int fd, const int pipe[2],
			   uint64_t *bytes, struct error *err)
{
	for (;;) {
		ssize_t n = splice(fd, NULL, pipe[1], NULL, BIG_PIPE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, CODE_INTERNAL, NULL, "cannot read an image");
		if (!n)
			return 0;
		if (image_uplink_data(up, image, pipe[0], n, err))
			return -1;
		*bytes += n;
	}
}

int image_file_forward(struct image_uplink *up, int number, const char *name, int fd,
		       uint64_t *bytes, struct error *err)
{
	int pipe[2], image, ret = -1;

	*bytes = 0;
	if (big_pipe_open(pipe))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe");
	image = image_uplink_image(up, number, name, err);
	if (image >= 0 && forward_through(up, image, fd, pipe, bytes, err))
		image_uplink_forget(up, image);
	else if (image >= 0)
		ret = image_uplink_image_end(up, image, *bytes, err);
	big_pipe_close(pipe);
	return ret;
}

/* What an earlier dump left in the directory must not take the place of what came by the page server. */
static bool is_wanted(const char *name)
{
	size_t bytes = strlen(name);

	return bytes > 4 && bytes <= IMAGE_NAME_BYTES && !strcmp(name + bytes - 4, ".img") &&
	       strncmp(name, "pages-", 6) && strncmp(name, PAGEMAP, sizeof(PAGEMAP) - 1);
}

/* Return: 1 sent, 0 no image, -1 with @err */
static int forward_one(struct image_files *files, int dir_fd, const char *name, struct error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret = 0;
	struct stat st;
	uint64_t bytes;

	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", name);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		ret = image_file_forward(files->up, files->number, name, fd, &bytes, err) ? -1 : 1;
		files->images += ret > 0;
		files->bytes += ret > 0 ? bytes : 0;
	}
	close(fd);
	return ret;
}

static int forward_all(struct image_files *files, DIR *stream, struct error *err)
{
	bool inventory = false;
	struct dirent *entry;

	while ((entry = readdir(stream))) {
		int ret = is_wanted(entry->d_name) ?
			  forward_one(files, dirfd(stream), entry->d_name, err) : 0;

		if (ret < 0)
			return -1;
		inventory |= ret > 0 && !strcmp(entry->d_name, INVENTORY);
	}
	return inventory ? 0 : error_set(err, CODE_CRIU, NULL, "CRIU wrote no " INVENTORY);
}

static DIR *open_dir_of(const char *path, struct error *err)
{
	char dir[PATH_MAX];
	DIR *stream;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	stream = opendir(dir);
	if (!stream)
		error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	return stream;
}

int image_files_forward(struct image_files *files, const char *path, struct error *err)
{
	DIR *stream = open_dir_of(path, err);
	int ret;

	if (!stream)
		return -1;
	ret = forward_all(files, stream, err);
	closedir(stream);
	return ret;
}

int image_files_check_old(const char *path, int64_t since_ns, struct error *err)
{
	DIR *stream = open_dir_of(path, err);
	struct dirent *entry;
	int ret = 0;

	if (!stream)
		return -1;
	while (!ret && (entry = readdir(stream))) {
		struct stat st;

		if (strncmp(entry->d_name, PAGEMAP, sizeof(PAGEMAP) - 1) ||
		    fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (st.st_mtim.tv_sec * CLOCK_NS_PER_S + st.st_mtim.tv_nsec >= since_ns)
			ret = error_set(err, CODE_CRIU, "the dump after a pre-dump needs --page-server, too",
					"criu dump wrote its memory into its directory, as %.64s", entry->d_name);
	}
	closedir(stream);
	return ret;
}
