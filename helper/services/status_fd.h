/* SPDX-License-Identifier: GPL-2.0 */
/* --status-fd, as CRIU's daemons have it: one byte says that the service is ready. */
#ifndef MIGRATE_SERVICES_STATUS_FD_H
#define MIGRATE_SERVICES_STATUS_FD_H

#include "base/error.h"

/** status_fd_tell() - write one byte to @fd, and close it; @fd -1: nobody waits. 0, or -1 with @err */
int status_fd_tell(int fd, struct error *err);

#endif
