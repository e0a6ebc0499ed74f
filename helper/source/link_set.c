// SPDX-License-Identifier: GPL-2.0
#include "source/link_set.h"

void link_set_init(struct link_set *links)
{
	*links = (struct link_set){ .memory = CONN_NONE, .urgent = CONN_NONE };
}

void link_set_close(struct link_set *links)
{
	control_close(links->ctl);
	conn_close(&links->memory);
	conn_close(&links->urgent);
	links->ctl = NULL;
}

void link_set_fail(struct link_set *links, const struct error *why, bool hurry)
{
	if (why)
		control_send_abort(links->ctl, why, false);
	conn_shutdown(&links->memory);
	conn_shutdown(&links->urgent);
	if (links->ctl && hurry)
		control_hurry(links->ctl);
}
