// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include "base/text.h"
#include "cli/session_rows.h"
#include "pages/page_set.h"

#define MIB(pages)	((pages) / 1048576.0 * PAGE_BYTES)

/* Head of the table whose lines session_row() makes. */
const char session_head[] =
	"SESSION     PID PROGRAM           OPENER       MIB  RESIDENT TRACKER     EPOCHS     DIRTY   DROPPED      SENT    COPIED IN-FLIGHT";

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
	{ "epochs", offsetof(struct session, epochs) },
	{ "pages_sent", offsetof(struct session, pages_sent) },
	{ "pages_copied", offsetof(struct session, pages_copied) },
	{ "pages_dirty", offsetof(struct session, pages_dirty) },
	{ "pages_dropped", offsetof(struct session, pages_dropped) },
	{ "bytes_sent", offsetof(struct session, bytes_sent) },
	{ "bytes_copied", offsetof(struct session, bytes_copied) },
	{ "pages_inflight", offsetof(struct session, pages_inflight) },
	{ "overflows", offsetof(struct session, overflows) },
};

const char *session_event_name(int cmd)
{
	switch (cmd) {
	case SPLICE_VM_CMD_SESSION_NEW_NTF:
		return "session-new";
	case SPLICE_VM_CMD_EPOCH_NTF:
		return "epoch";
	case SPLICE_VM_CMD_TARGET_GONE_NTF:
		return "target-gone";
	case SPLICE_VM_CMD_SESSION_DEL_NTF:
		return "session-del";
	}
	return NULL;
}

const char *session_tracker_name(uint32_t tracker)
{
	switch (tracker) {
	case SPLICE_VM_TRACKER_NONE:
		return "none";
	case SPLICE_VM_TRACKER_SOFT_DIRTY:
		return "soft-dirty";
	case SPLICE_VM_TRACKER_EVENTS:
		return "events";
	}
	return "?";
}

json_t *session_json(const struct session *session)
{
	json_t *json = json_pack("{s:I,s:i,s:I,s:s}", "session", (json_int_t)session->id,
				 "opener_pid", session->opener_pid,
				 "opener_uid", (json_int_t)session->opener_uid,
				 "tracker", session_tracker_name(session->tracker));

	if (session->attached) {
		json_object_set_new(json, "pid", json_integer(session->pid));
		json_object_set_new(json, "gone", json_boolean(session->gone));
		json_object_set_new(json, "max_inflight", json_integer(session->max_inflight));
	}
	if (session->attached && !session->gone) {
		json_object_set_new(json, "mm_pages", json_integer(session->mm_pages));
		json_object_set_new(json, "mm_resident", json_integer(session->mm_resident));
	}
	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
		const void *value = (const char *)session + counters[i].offset;

		json_object_set_new(json, counters[i].name, json_integer(*(const uint64_t *)value));
	}
	return json;
}

void session_row(const struct session *session, const char *program, char *text, size_t size)
{
	char pid[16] = "-", mib[16] = "-", resident[16] = "-";

	if (session->attached)
		snprintf(pid, sizeof(pid), "%u", session->pid);
	if (session->attached && !session->gone) {
		snprintf(mib, sizeof(mib), "%.1f", MIB(session->mm_pages));
		snprintf(resident, sizeof(resident), "%.1f", MIB(session->mm_resident));
	}
	snprintf(text, size,
		 "%7" PRIu64 " %7s %-15.15s %8u %9s %9s %-10s %7" PRIu64 " %9" PRIu64 " %9" PRIu64
		 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64,
		 session->id, pid, session->gone ? "(gone)" : program, session->opener_pid, mib,
		 resident, session_tracker_name(session->tracker), session->epochs,
		 session->pages_dirty, session->pages_dropped, session->pages_sent,
		 session->pages_copied, session->pages_inflight);
}

void session_event_text(const struct session *session, char *text, size_t size)
{
	int n = snprintf(text, size, "session %" PRIu64 ": ", session->id);

	text += n;
	size -= n;
	switch (session->cmd) {
	case SPLICE_VM_CMD_SESSION_NEW_NTF:
		snprintf(text, size, "attached to process %u, opened by process %u of user %u",
			 session->pid, session->opener_pid, session->opener_uid);
		break;
	case SPLICE_VM_CMD_EPOCH_NTF:
		snprintf(text, size, "epoch %" PRIu64 ", %.1f MiB sent so far", session->epochs,
			 session->bytes_sent / 1048576.0);
		break;
	case SPLICE_VM_CMD_TARGET_GONE_NTF:
		snprintf(text, size, "process %u has exited or called exec", session->pid);
		break;
	case SPLICE_VM_CMD_SESSION_DEL_NTF:
		snprintf(text, size,
			 "closed; process %u, %s, %.1f MiB sent, %.1f MiB copied",
			 session->pid, text_count(session->epochs, "epoch", "epochs").text, session->bytes_sent / 1048576.0,
			 session->bytes_copied / 1048576.0);
		break;
	default:
		snprintf(text, size, "event %d", session->cmd);
	}
}
