// SPDX-License-Identifier: GPL-2.0
#include "session/failure.h"

bool failure_raise_unless_committed(const struct failure *failure, const struct error *err,
				    bool undoes)
{
	enum mailbox_fault fault;
	bool committed;

	mailbox_lock(failure->box);
	fault = mailbox_fail_locked(failure->box, err, undoes);
	committed = failure->box->committed;
	if (fault == MAILBOX_FIRST)
		failure->hooks->cancel(failure->ctx);
	mailbox_unlock(failure->box);
	if (fault == MAILBOX_FIRST)
		failure->hooks->failed(failure->ctx, err, committed);
	return fault != MAILBOX_TOO_LATE;
}

void failure_raise(const struct failure *failure, const struct error *err)
{
	failure_raise_unless_committed(failure, err, false);
}

void failure_receive(const struct failure *failure, struct control *ctl)
{
	struct error err = { 0 };

	mailbox_receive(failure->box, ctl, &err);
	failure_raise(failure, &err);
	mailbox_hang_up(failure->box);
}
