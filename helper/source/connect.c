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

int connect_all(struct link_set *links, const char *to, const uint8_t *id, struct error *err)
{
	int fd = conn_connect(to, CONN_CONTROL, id, err);

	if (fd < 0)
		return -1;
	links->ctl = control_new(fd, COURSE_SOURCE, err);
	if (!links->ctl || hello(links->ctl, err))
		return -1;
	links->memory_fd = conn_connect(to, CONN_MEMORY, id, err);
	if (links->memory_fd < 0)
		return -1;
	links->urgent_fd = conn_connect(to, CONN_URGENT, id, err);
	return links->urgent_fd < 0 ? -1 : 0;
}
