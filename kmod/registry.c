// SPDX-License-Identifier: GPL-2.0
/* The list of all sessions. Its lock keeps those on it from being freed. */
#include <linux/list.h>
#include <linux/mutex.h>

#include "registry.h"

static DEFINE_MUTEX(splice_vm_registry_lock); /* both below */
static LIST_HEAD(splice_vm_registry);
static u64 splice_vm_registry_last_id;

/**
 * splice_vm_registry_add() - a session is born
 * @sess: complete, with all that a walk may look at; gets its id
 *
 * Ids only rise and sessions come last, so the list is in their order.
 */
void splice_vm_registry_add(struct splice_vm_session *sess)
{
	mutex_lock(&splice_vm_registry_lock);
	sess->id = ++splice_vm_registry_last_id;
	list_add_tail(&sess->node, &splice_vm_registry);
	mutex_unlock(&splice_vm_registry_lock);
}

/**
 * splice_vm_registry_del() - a session is about to end
 * @sess: nobody finds it here any more, and nobody who did still looks at it
 */
void splice_vm_registry_del(struct splice_vm_session *sess)
{
	mutex_lock(&splice_vm_registry_lock);
	list_del(&sess->node);
	mutex_unlock(&splice_vm_registry_lock);
}

/**
 * splice_vm_registry_walk() - look at the sessions in order of their ids
 * @next: id to begin with; out: id to go on with, that of the one @fn refused
 * @fn: called with the list locked; takes none of our locks
 * @arg: for @fn
 *
 * A walk in pieces finds each session that is there all the time once. Sleeps.
 * Return: what @fn returned last; 0 at the end
 */
int splice_vm_registry_walk(u64 *next, splice_vm_registry_fn fn, void *arg)
{
	struct splice_vm_session *sess;
	int ret = 0;

	mutex_lock(&splice_vm_registry_lock);
	list_for_each_entry(sess, &splice_vm_registry, node) {
		if (sess->id < *next)
			continue;
		*next = sess->id;
		ret = fn(sess, arg);
		if (ret)
			break;
		++*next;
	}
	mutex_unlock(&splice_vm_registry_lock);
	return ret;
}
