// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "source/awaited.h"
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

static int connect_given(struct link_set *links, const struct given *given, const uint8_t *id, struct error *err)
{
	struct conn control;

	if (conn_start(&control, given->rpc, CONN_CONTROL, id, err))
		return -1;
	links->ctl = control_new(&control, COURSE_SOURCE, err);
	return !links->ctl || hello(links->ctl, err) ||
	       conn_start(&links->memory, given->mem[0], CONN_MEMORY, id, err) ||
	       conn_start(&links->urgent, given->mem[1], CONN_URGENT, id, err) ? -1 : 0;
}

static int connect_to(struct link_set *links, const char *to, const uint8_t *id, struct error *err)
{
	struct conn control;

	if (conn_connect(&control, to, CONN_CONTROL, id, err))
		return -1;
	links->ctl = control_new(&control, COURSE_SOURCE, err);
	return !links->ctl || hello(links->ctl, err) ||
	       conn_connect(&links->memory, to, CONN_MEMORY, id, err) ||
	       conn_connect(&links->urgent, to, CONN_URGENT, id, err) ? -1 : 0;
}

/* A caller that is no destination does not end the migration. */
static int wait_control(struct link_set *links, struct awaited *awaited, const uint8_t *id, struct error *err)
{
	for (;;) {
		struct error why = { 0 };
		struct conn control;

		if (awaited_control(awaited, &control, id, err))
			return -1;
		links->ctl = control_new(&control, COURSE_SOURCE, &why);
		if (links->ctl && !hello(links->ctl, &why))
			return 0;
		awaited_turn_away(&why);
		control_close(links->ctl);
		links->ctl = NULL;
	}
}

static int connect_awaited(struct link_set *links, const char *where, const uint8_t *id, struct error *err)
{
	struct awaited awaited;
	int ret;

	if (awaited_open(&awaited, where, err))
		return -1;
	ret = wait_control(links, &awaited, id, err) ||
	      awaited_others(&awaited, &links->memory, &links->urgent, id, err) ? -1 : 0;
	awaited_close(&awaited);
	return ret;
}

int connect_all(struct link_set *links, const struct connect_way *way, const uint8_t *id, struct error *err)
{
	if (way->given && given_has_link(way->given))
		return connect_given(links, way->given, id, err);
	return way->listens ? connect_awaited(links, way->where, id, err) :
			      connect_to(links, way->where, id, err);
}
