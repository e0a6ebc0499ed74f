// SPDX-License-Identifier: GPL-2.0
#include "source/link_set.h"

void link_set_init(struct link_set *links, unsigned int streams)
{
	*links = (struct link_set){ .streams = streams, .urgent = { .fd = -1, .kind = CONN_URGENT } };
	for (unsigned int i = 0; i < STREAMS_MAX; i++)
		links->memory[i] = conn_stream(i, streams);
}

void link_set_close(struct link_set *links)
{
	control_close(links->ctl);
	for (unsigned int i = 0; i < links->streams; i++)
		conn_close(&links->memory[i]);
	conn_close(&links->urgent);
	links->ctl = NULL;
}

void link_set_fail(struct link_set *links, const struct error *why, bool hurry)
{
	if (why)
		control_send_abort(links->ctl, why, false);
	for (unsigned int i = 0; i < links->streams; i++)
		conn_shutdown(&links->memory[i]);
	conn_shutdown(&links->urgent);
	if (links->ctl && hurry)
		control_hurry(links->ctl);
}
