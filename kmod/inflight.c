// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that SEND left at sockets, until the sockets let go of them: counted for each session and
 * for each user, in whole folios, since a reference on a page keeps all of its folio. No socket
 * tells when it lets go of a page, but the length of its queue can be read, and the queue is first
 * in, first out. A peer on this machine, or a network card, may hold a page for longer than the
 * queue does: this file does not count such pages.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "inflight.h"
#include "sock.h"

static unsigned long max_inflight_per_user;
module_param(max_inflight_per_user, ulong, 0644);
MODULE_PARM_DESC(max_inflight_per_user,
		 "pages of all of a user's sessions at sockets (0: an eighth of memory)");

/* Sessions do not ask all the time, and closed ones not at all: hence a look now and then. */
#define SPLICE_VM_SWEEP_INTERVAL	HZ

/**
 * struct splice_vm_user - who opened sessions
 * @node: in the list of users, under its lock
 * @uid: in the first user namespace; constant
 * @sessions: open ones; under the list's lock
 * @lock: of all that follows, and of the flights and the sessions' ->queued
 * @flights: of this user
 * @pages: of all of them, with what calls reserved
 *
 * Lives while it has sessions or flights.
 */
struct splice_vm_user {
	struct list_head node;
	kuid_t uid;
	unsigned int sessions;
	struct mutex lock; /* flights, pages */
	struct list_head flights;
	unsigned long pages;
};

/**
 * struct splice_vm_flight - pages that a session left at a socket
 * @node: in its user's list
 * @user: constant
 * @sess: NULL once that is closed
 * @sk: a reference on the struct alone: the socket may be closed meanwhile, and its queue
 *	stays
 * @calls: SENDs under way
 * @written: bytes so far
 * @left: pages that have left the queue when so many bytes have: [0] before [1]. There are two
 *	marks, since with one a queue that is never empty would keep all pages counted
 *
 * Lives while it has calls or pages.
 */
struct splice_vm_flight {
	struct list_head node;
	struct splice_vm_user *user;
	struct splice_vm_session *sess;
	struct sock *sk;
	unsigned int calls;
	u64 written;
	struct {
		u64 end;
		unsigned long pages;
	} left[2];
};

static DEFINE_MUTEX(splice_vm_users_lock); /* the list, and which users are on it */
static LIST_HEAD(splice_vm_users);

static void splice_vm_inflight_sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(splice_vm_inflight_work, splice_vm_inflight_sweep);

/**
 * splice_vm_inflight_limit() - pages that the sessions of one user may have at sockets
 */
unsigned long splice_vm_inflight_limit(void)
{
	return READ_ONCE(max_inflight_per_user) ?: totalram_pages() / 8;
}

static void splice_vm_flight_account(struct splice_vm_flight *flight, long pages)
{
	flight->user->pages += pages;
	if (flight->sess)
		flight->sess->queued += pages;
}

static void splice_vm_flight_drop(struct splice_vm_flight *flight, int i)
{
	splice_vm_flight_account(flight, -(long)flight->left[i].pages);
	flight->left[i].pages = 0;
}

/*
 * The queue has bytes of other writers too, and the kernel's own overhead: with both, pages count
 * for longer than they are queued, never for less.
 */
static void splice_vm_flight_settle(struct splice_vm_flight *flight)
{
	unsigned long queued = splice_vm_sock_queued(flight->sk);
	u64 done = flight->written > queued ? flight->written - queued : 0;

	lockdep_assert_held(&flight->user->lock);
	if (!queued || done >= flight->left[1].end) {
		splice_vm_flight_drop(flight, 0);
		splice_vm_flight_drop(flight, 1);
	} else if (done >= flight->left[0].end) {
		splice_vm_flight_drop(flight, 0);
		flight->left[0] = flight->left[1];
		flight->left[1].pages = 0;
	}
}

static bool splice_vm_flight_is_over(const struct splice_vm_flight *flight)
{
	return !flight->calls && !flight->left[0].pages &&
	       !flight->left[1].pages;
}

/* Flights that are over go to @over, to be freed without the lock. */
static void splice_vm_user_settle(struct splice_vm_user *user,
				  struct list_head *over)
{
	struct splice_vm_flight *flight, *next;

	list_for_each_entry_safe(flight, next, &user->flights, node) {
		splice_vm_flight_settle(flight);
		if (splice_vm_flight_is_over(flight))
			list_move(&flight->node, over);
		cond_resched();
	}
}

static void splice_vm_flights_free(struct list_head *flights)
{
	struct splice_vm_flight *flight, *next;

	list_for_each_entry_safe(flight, next, flights, node) {
		sock_put(flight->sk);
		kfree(flight);
	}
}

static void splice_vm_user_free_unused(struct splice_vm_user *user)
{
	lockdep_assert_held(&splice_vm_users_lock);
	if (user->sessions || !list_empty(&user->flights))
		return;
	list_del(&user->node);
	kfree(user);
}

static void splice_vm_inflight_sweep(struct work_struct *work)
{
	struct splice_vm_user *user, *next;
	LIST_HEAD(over);
	bool more = false;

	mutex_lock(&splice_vm_users_lock);
	list_for_each_entry_safe(user, next, &splice_vm_users, node) {
		mutex_lock(&user->lock);
		splice_vm_user_settle(user, &over);
		more |= !list_empty(&user->flights);
		mutex_unlock(&user->lock);
		splice_vm_user_free_unused(user);
	}
	mutex_unlock(&splice_vm_users_lock);
	splice_vm_flights_free(&over);
	if (more)
		schedule_delayed_work(&splice_vm_inflight_work,
				      SPLICE_VM_SWEEP_INTERVAL);
}

/* The user of @uid: one that is there, or @spare. */
static struct splice_vm_user *splice_vm_user_find(kuid_t uid,
						  struct splice_vm_user *spare)
{
	struct splice_vm_user *user;

	list_for_each_entry(user, &splice_vm_users, node)
		if (uid_eq(user->uid, uid))
			return user;
	spare->uid = uid;
	mutex_init(&spare->lock);
	INIT_LIST_HEAD(&spare->flights);
	list_add(&spare->node, &splice_vm_users);
	return spare;
}

/**
 * splice_vm_inflight_open() - a session is opened
 * @sess: its opener_uid is the user whom its pages count against
 *
 * Return: 0 or -ENOMEM
 */
int splice_vm_inflight_open(struct splice_vm_session *sess)
{
	struct splice_vm_user *spare;

	/* Not below the lock: a task that waits for memory there would stop all others. */
	spare = kzalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
	if (!spare)
		return -ENOMEM;
	mutex_lock(&splice_vm_users_lock);
	sess->user = splice_vm_user_find(sess->opener_uid, spare);
	sess->user->sessions++;
	mutex_unlock(&splice_vm_users_lock);
	if (sess->user != spare)
		kfree(spare);
	return 0;
}

/**
 * splice_vm_inflight_close() - a session ends; its pages at sockets still count
 * @sess: no call of it is under way
 */
void splice_vm_inflight_close(struct splice_vm_session *sess)
{
	struct splice_vm_user *user = sess->user;
	struct splice_vm_flight *flight;

	mutex_lock(&splice_vm_users_lock);
	mutex_lock(&user->lock);
	list_for_each_entry(flight, &user->flights, node)
		if (flight->sess == sess)
			flight->sess = NULL;
	mutex_unlock(&user->lock);
	user->sessions--;
	splice_vm_user_free_unused(user);
	mutex_unlock(&splice_vm_users_lock);
}

/**
 * splice_vm_inflight_read() - pages at sockets, those that calls reserved included
 * @sess: the session
 * @session: out: of this session
 * @user: out: of all sessions of its user, also closed ones
 */
void splice_vm_inflight_read(struct splice_vm_session *sess,
			     unsigned long *session, unsigned long *user)
{
	LIST_HEAD(over);

	mutex_lock(&sess->user->lock);
	splice_vm_user_settle(sess->user, &over);
	*session = sess->queued;
	*user = sess->user->pages;
	mutex_unlock(&sess->user->lock);
	splice_vm_flights_free(&over);
}

/**
 * splice_vm_flight_get() - a SEND to a socket begins
 * @sess: the session
 * @sk: the socket, held by the caller
 *
 * Return: to be given back with splice_vm_flight_put(); NULL without memory
 */
struct splice_vm_flight *splice_vm_flight_get(struct splice_vm_session *sess,
					      struct sock *sk)
{
	struct splice_vm_flight *flight, *spare;

	spare = kzalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
	if (!spare)
		return NULL;
	mutex_lock(&sess->user->lock);
	list_for_each_entry(flight, &sess->user->flights, node)
		if (flight->sess == sess && flight->sk == sk)
			goto out_calls;
	flight = spare;
	spare = NULL;
	flight->user = sess->user;
	flight->sess = sess;
	flight->sk = sk;
	sock_hold(sk);
	list_add(&flight->node, &sess->user->flights);
out_calls:
	flight->calls++;
	mutex_unlock(&sess->user->lock);
	kfree(spare);
	return flight;
}

/**
 * splice_vm_flight_put() - the SEND is over
 * @flight: of splice_vm_flight_get(); not used after
 */
void splice_vm_flight_put(struct splice_vm_flight *flight)
{
	struct splice_vm_user *user = flight->user;
	LIST_HEAD(over);

	mutex_lock(&user->lock);
	flight->calls--;
	splice_vm_flight_settle(flight);
	if (splice_vm_flight_is_over(flight))
		list_move(&flight->node, &over);
	mutex_unlock(&user->lock);
	splice_vm_flights_free(&over);
	schedule_delayed_work(&splice_vm_inflight_work,
			      SPLICE_VM_SWEEP_INTERVAL);
}

/* A batch that is larger than a limit gets on alone. */
static bool splice_vm_flight_fits(const struct splice_vm_flight *flight,
				  unsigned long pages)
{
	unsigned long mine = flight->sess->queued, all = flight->user->pages;

	return (!mine || mine + pages <= flight->sess->max_inflight) &&
	       (!all || all + pages <= splice_vm_inflight_limit());
}

/**
 * splice_vm_flight_reserve() - room for a batch, before its pages are taken
 * @flight: where it goes
 * @pages: the most that it may hold, in whole folios
 *
 * Return: true when there is room, to be given back with splice_vm_flight_commit(); false
 * when the session's cap or its user's limit is reached
 */
bool splice_vm_flight_reserve(struct splice_vm_flight *flight,
			      unsigned long pages)
{
	struct splice_vm_user *user = flight->user;
	LIST_HEAD(over);
	bool fits;

	mutex_lock(&user->lock);
	splice_vm_flight_settle(flight);
	fits = splice_vm_flight_fits(flight, pages);
	if (!fits) {
		splice_vm_user_settle(user, &over);
		fits = splice_vm_flight_fits(flight, pages);
	}
	if (fits)
		splice_vm_flight_account(flight, pages);
	mutex_unlock(&user->lock);
	splice_vm_flights_free(&over);
	return fits;
}

/**
 * splice_vm_flight_trim() - give back what was reserved for nothing
 * @flight: where the batch goes
 * @reserved: what was reserved for it; out: @pages, if that is less
 * @pages: that it holds, in whole folios
 */
void splice_vm_flight_trim(struct splice_vm_flight *flight,
			   unsigned long *reserved, unsigned long pages)
{
	if (*reserved <= pages)
		return;
	mutex_lock(&flight->user->lock);
	splice_vm_flight_account(flight, (long)pages - (long)*reserved);
	mutex_unlock(&flight->user->lock);
	*reserved = pages;
}

/**
 * splice_vm_flight_commit() - a batch was written, or not
 * @flight: where it went
 * @reserved: what was reserved for it
 * @pages: that it holds, in whole folios
 * @bytes: that went to the socket; 0 when none of it did
 */
void splice_vm_flight_commit(struct splice_vm_flight *flight,
			     unsigned long reserved, unsigned long pages,
			     u64 bytes)
{
	int last;

	if (!bytes)
		pages = 0;
	mutex_lock(&flight->user->lock);
	splice_vm_flight_account(flight, (long)pages - (long)reserved);
	flight->written += bytes;
	last = !!flight->left[0].pages;
	flight->left[last].pages += pages;
	if (!last)
		flight->left[0].end = flight->written;
	flight->left[1].end = flight->written;
	mutex_unlock(&flight->user->lock);
}

/**
 * splice_vm_inflight_exit() - the module goes, and no session is open
 *
 * Pages that are still at sockets stay there. The sockets have references of their own.
 */
void splice_vm_inflight_exit(void)
{
	struct splice_vm_user *user, *next;

	cancel_delayed_work_sync(&splice_vm_inflight_work);
	list_for_each_entry_safe(user, next, &splice_vm_users, node) {
		splice_vm_flights_free(&user->flights);
		kfree(user);
	}
	INIT_LIST_HEAD(&splice_vm_users);
}
