// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>
#include "services/status_fd.h"

int status_fd_tell(int fd, struct error *err)
{
	if (fd < 0)
		return 0;
	if (write(fd, "", 1) != 1)
		return error_errno(err, CODE_USAGE, NULL, "cannot write to descriptor %d of --status-fd", fd);
	close(fd);
	return 0;
}
