// SPDX-License-Identifier: GPL-2.0
/* Sessions: made and freed, the list of all, and the use of a session's target. */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "session.h"

static DEFINE_MUTEX(splice_vm_sessions_lock); /* both below */
static LIST_HEAD(splice_vm_sessions);
static u64 splice_vm_sessions_last_id;

/**
 * splice_vm_session_list() - a session is born
 * @sess: complete, with all that a walk may look at; gets its id
 *
 * Ids only rise and sessions come last, so the list is in their order.
 */
void splice_vm_session_list(struct splice_vm_session *sess)
{
	mutex_lock(&splice_vm_sessions_lock);
	sess->id = ++splice_vm_sessions_last_id;
	list_add_tail(&sess->node, &splice_vm_sessions);
	mutex_unlock(&splice_vm_sessions_lock);
}

/**
 * splice_vm_session_unlist() - a session is about to end
 * @sess: no walk finds it any more, and no walk that found it still looks at it
 */
void splice_vm_session_unlist(struct splice_vm_session *sess)
{
	mutex_lock(&splice_vm_sessions_lock);
	list_del(&sess->node);
	mutex_unlock(&splice_vm_sessions_lock);
}

/**
 * splice_vm_sessions_walk() - look at the sessions in order of their ids
 * @next: id to begin with; out: id to go on with, that of the one @fn refused
 * @fn: called with the list locked; takes none of our locks
 * @arg: for @fn
 *
 * A walk in pieces finds each session that is there all the time once. Sleeps.
 * Return: what @fn returned last; 0 at the end
 */
int splice_vm_sessions_walk(u64 *next, splice_vm_session_fn fn, void *arg)
{
	struct splice_vm_session *sess;
	int ret = 0;

	mutex_lock(&splice_vm_sessions_lock);
	list_for_each_entry(sess, &splice_vm_sessions, node) {
		if (sess->id < *next)
			continue;
		*next = sess->id;
		ret = fn(sess, arg);
		if (ret)
			break;
		++*next;
	}
	mutex_unlock(&splice_vm_sessions_lock);
	return ret;
}

/**
 * splice_vm_session_alloc() - a session that is bound to nothing
 *
 * Return: the session, to be freed with splice_vm_session_free(), or NULL
 */
struct splice_vm_session *splice_vm_session_alloc(void)
{
	struct splice_vm_session *sess;

	sess = kvzalloc(sizeof(*sess), GFP_KERNEL_ACCOUNT);
	if (!sess)
		return NULL;
	mutex_init(&sess->lock);
	init_waitqueue_head(&sess->wait);
	splice_vm_dirty_log_init(&sess->dirty_log);
	splice_vm_dirty_log_init(&sess->pending);
	sess->vma_snapshot.dirty_log = &sess->dirty_log;
	sess->opener_uid = current_uid();
	sess->opener = get_pid(task_tgid(current));
	return sess;
}

/* Free a session without users, and drop its target. */
void splice_vm_session_free(struct splice_vm_session *sess)
{
	if (sess->mm)
		mmdrop(sess->mm);
	put_pid(sess->pid);
	put_pid(sess->opener);
	splice_vm_dirty_log_destroy(&sess->dirty_log);
	splice_vm_dirty_log_destroy(&sess->pending);
	kvfree(sess);
}

/**
 * splice_vm_target_get() - use the target's memory for a while
 * @sess: the session
 *
 * Return: the mm, to be given back with splice_vm_target_put(); ERR_PTR(-ENOTCONN)
 * before ATTACH, ERR_PTR(-ESRCH) when the target is gone
 */
struct mm_struct *splice_vm_target_get(struct splice_vm_session *sess)
{
	/* Pairs with the release in splice_vm_target_bind(). */
	struct mm_struct *mm = smp_load_acquire(&sess->mm);

	if (!mm)
		return ERR_PTR(-ENOTCONN);
	if (READ_ONCE(sess->gone) || !mmget_not_zero(mm))
		return ERR_PTR(-ESRCH);
	return mm;
}

/* Asynchronous: ours may be the last reference, and tearing down an mm takes long. */
void splice_vm_target_put(struct mm_struct *mm)
{
	mmput_async(mm);
}
