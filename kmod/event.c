// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a session, for the netlink group. Callbacks of the notifier can neither sleep nor
 * allocate, and clear_refs can be written thousands of times a second. So a work item compares the
 * session's state with the last events, at most ten times a second and session. Nothing is queued
 * up, and the order is always the same: new, epochs, gone, del.
 */
#include <linux/jiffies.h>

#include "event.h"
#include "netlink.h"

#define SPLICE_VM_EVENT_INTERVAL	(HZ / 10)

static void splice_vm_events_tell(struct splice_vm_session *sess)
{
	struct splice_vm_events *events = &sess->events;
	u64 epochs;

	/* Pairs with the release in splice_vm_target_bind(). */
	if (!smp_load_acquire(&sess->mm))
		return;
	WRITE_ONCE(events->last, jiffies);
	if (!events->announced) {
		events->announced = true;
		splice_vm_netlink_notify(sess, SPLICE_VM_CMD_SESSION_NEW_NTF);
	}
	epochs = atomic64_read(&sess->epochs);
	if (epochs != events->epochs) {
		events->epochs = epochs;
		splice_vm_netlink_notify(sess, SPLICE_VM_CMD_EPOCH_NTF);
	}
	if (READ_ONCE(events->gone) && !events->gone_told) {
		events->gone_told = true;
		splice_vm_netlink_notify(sess, SPLICE_VM_CMD_TARGET_GONE_NTF);
	}
}

static void splice_vm_events_work(struct work_struct *work)
{
	splice_vm_events_tell(container_of(to_delayed_work(work),
					   struct splice_vm_session,
					   events.work));
}

void splice_vm_events_init(struct splice_vm_session *sess)
{
	INIT_DELAYED_WORK(&sess->events.work, splice_vm_events_work);
	sess->events.last = jiffies - SPLICE_VM_EVENT_INTERVAL;
}

/**
 * splice_vm_events_kick() - there may be something to tell
 * @sess: of it
 *
 * Any context. Not after splice_vm_events_stop().
 */
void splice_vm_events_kick(struct splice_vm_session *sess)
{
	unsigned long due = READ_ONCE(sess->events.last) +
			    SPLICE_VM_EVENT_INTERVAL;
	unsigned long now = jiffies;

	schedule_delayed_work(&sess->events.work,
			      time_before(now, due) ? due - now : 0);
}

/**
 * splice_vm_events_stop() - tell what is left, and that the session is closed
 * @sess: of it, attached; no callback of the notifier runs any more
 *
 * Sleeps.
 */
void splice_vm_events_stop(struct splice_vm_session *sess)
{
	cancel_delayed_work_sync(&sess->events.work);
	splice_vm_events_tell(sess);
	splice_vm_netlink_notify(sess, SPLICE_VM_CMD_SESSION_DEL_NTF);
}
