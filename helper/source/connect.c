// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "source/connect.h"

#define HELLO_TIMEOUT_MS	10000

static int hello(struct control *ctl, struct error *err)
{
	Migrate__Control *got;
	int ret = 0;

	if (control_send_hello(ctl, err))
		return -1;
	got = control_expect(ctl, MIGRATE__CONTROL__BODY_HELLO, HELLO_TIMEOUT_MS, err);
	if (!got)
		return -1;
	if (got->hello->version != PROTOCOL_VERSION)
		ret = error_set(err, CODE_PEER, "install the same version on both machines",
				"%s speaks version %u of the protocol, this is version %d",
				got->hello->hostname, got->hello->version, PROTOCOL_VERSION);
	else
		report_say("connected to %s (%s)", got->hello->hostname, got->hello->software);
	migrate__control__free_unpacked(got, NULL);
	return ret;
}

/* Over a descriptor of the caller's. The link is ours alone, and ends with its connections. */
static int start_given(struct conn *conn, int fd, enum conn_kind kind, const uint8_t *id, struct error *err)
{
	conn_tune(fd);
	return conn_start(conn, fd, kind, id, err);
}

int connect_all(struct link_set *links, const char *to, const struct given *given, const uint8_t *id,
		struct error *err)
{
	bool given_link = given_has_link(given);
	struct conn control;

	if (given_link ? start_given(&control, given->rpc, CONN_CONTROL, id, err) :
			 conn_connect(&control, to, CONN_CONTROL, id, err))
		return -1;
	links->ctl = control_new(&control, COURSE_SOURCE, err);
	if (!links->ctl || hello(links->ctl, err))
		return -1;
	if (given_link)
		return start_given(&links->memory, given->mem[0], CONN_MEMORY, id, err) ||
		       start_given(&links->urgent, given->mem[1], CONN_URGENT, id, err) ? -1 : 0;
	return conn_connect(&links->memory, to, CONN_MEMORY, id, err) ||
	       conn_connect(&links->urgent, to, CONN_URGENT, id, err) ? -1 : 0;
}
