/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_EVENT_H
#define SPLICE_VM_EVENT_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct splice_vm_session;

/**
 * struct splice_vm_events - what of a session was told to those who listen
 * @work: tells what was not told yet; the only one to write what follows, but for @gone
 * @last: jiffies of the last time
 * @announced: that it is attached
 * @epochs: how many
 * @gone: the target is gone; only ever set. Unlike the session's own flag not when the
 *	notifier is unregistered from a living one
 * @gone_told: that was told
 */
struct splice_vm_events {
	struct delayed_work work;
	unsigned long last;
	bool announced;
	u64 epochs;
	bool gone;
	bool gone_told;
};

void splice_vm_events_init(struct splice_vm_session *sess);
void splice_vm_events_kick(struct splice_vm_session *sess);
void splice_vm_events_stop(struct splice_vm_session *sess);

#endif
