// SPDX-License-Identifier: GPL-2.0
#include <sys/socket.h>
#include <unistd.h>
#include "session/link_set.h"

void link_set_init(struct link_set *links)
{
	*links = (struct link_set){ .memory_fd = -1, .urgent_fd = -1 };
}

void link_set_close(struct link_set *links)
{
	control_close(links->ctl);
	if (links->memory_fd >= 0)
		close(links->memory_fd);
	if (links->urgent_fd >= 0)
		close(links->urgent_fd);
	link_set_init(links);
}

void link_set_fail(struct link_set *links, const struct error *why, bool hurry)
{
	if (why)
		control_send_abort(links->ctl, why, false);
	shutdown(links->memory_fd, SHUT_RDWR);
	shutdown(links->urgent_fd, SHUT_RDWR);
	if (links->ctl && hurry)
		control_hurry(links->ctl);
}
