// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/report.h"
#include "criu/names.h"
#include "os/safe_path.h"
#include "source/link_remaps.h"

#define PREFIX	"link_remap."

/* A link of a user's in the place of a directory is not followed. */
static void remove_one(char *path)
{
	char *name = strrchr(path, '/');
	struct stat st;
	int fd;

	if (*path != '/' || strncmp(name + 1, PREFIX, strlen(PREFIX)))
		return;
	*name++ = 0;
	fd = safe_path_open("/", *path ? path : "/");
	if (fd < 0)
		return;
	/* the program's file has other names, or it would be in the images */
	if (!fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && st.st_nlink > 1 &&
	    unlinkat(fd, name, 0))
		report_say("the name %s/%s, which CRIU made, stays", path, name);
	close(fd);
}

void link_remaps_remove(int images_dir_fd)
{
	struct error ignored = { 0 };
	struct criu_names names;

	if (criu_names_read_links(images_dir_fd, &names, &ignored))
		return;
	for (size_t i = 0; i < names.nr; i++)
		remove_one(names.list[i]);
	criu_names_free(&names);
}
