// SPDX-License-Identifier: GPL-2.0
#include <sys/stat.h>
#include "criu/namespaces.h"
#include "criu/plain.h"
#include "dest/sender_check.h"

/** struct check - @namespaces: whose ids the images have */
struct check {
	const struct sender_rule *rule;
	const struct namespaces *namespaces;
};

/*
 * In a mount namespace its files, devices and programs that give rights would be root's to make. For a network namespace CRIU
 * starts programs with images as their input.
 */
static void refuse_namespaces(const struct sender_rule *rule, const struct mounts *mounts, const struct namespaces *namespaces,
			      struct refusals *refusals)
{
	static const char *const refused[CRIU_NAMESPACES] = {
		[CRIU_NS_MOUNT] = "mount", [CRIU_NS_NETWORK] = "network", [CRIU_NS_CGROUP] = "cgroup",
	};

	for (int i = 0; i < CRIU_NAMESPACES; i++)
		if (refused[i] && (namespaces->own & 1U << i || (i == CRIU_NS_MOUNT && mounts_are_own(mounts))))
			precheck_refuse(refusals, "--allow there lets \"%s\" send programs of some users only, and none with a %s namespace of its own",
					rule->name, refused[i]);
}

void sender_check_needs(const struct sender_rule *rule, const Migrate__Setup *said, struct refusals *refusals)
{
	if (rule && rule->limited && said->n_unix_servers)
		precheck_refuse(refusals, "--allow there lets \"%s\" send programs of some users only, and none that is connected to a server of the machine (%.108s)",
				rule->name, said->unix_servers[0]->name);
	if (rule && rule->limited && said->n_criu_options)
		precheck_refuse(refusals, "--allow there lets \"%s\" send programs of some users only, and give CRIU no options",
				rule->name);
}

void sender_check_setup(const struct sender_rule *rule, const struct mounts *mounts, const struct namespaces *namespaces,
			struct refusals *refusals)
{
	if (!rule || !rule->limited)
		return;
	refuse_namespaces(rule, mounts, namespaces, refusals);
	/* root in it can become each of them */
	for (size_t i = 0; i < namespaces->uids.nr; i++) {
		const struct id_range *range = &namespaces->uids.ranges[i];

		if (!sender_ids_have(&rule->uids, range->outside, range->outside + range->count - 1))
			precheck_refuse(refusals, "--allow there does not let \"%s\" send programs whose user namespace has the uids from %u on",
					rule->name, range->outside);
	}
	for (size_t i = 0; i < namespaces->gids.nr; i++) {
		const struct id_range *range = &namespaces->gids.ranges[i];

		if (!sender_ids_have(&rule->gids, range->outside, range->outside + range->count - 1))
			precheck_refuse(refusals, "--allow there does not let \"%s\" send programs whose user namespace has the gids from %u on",
					rule->name, range->outside);
	}
}

static bool has(const struct sender_ids *ids, const struct id_map *map, bool mapped, uint32_t id)
{
	return (!mapped || id_map_outside(map, id, &id)) && sender_ids_have(ids, id, id);
}

static int refuse(const struct check *check, pid_t tid, const char *what, uint32_t id, struct error *err)
{
	return error_set(err, CODE_REFUSED, "the list of --allow says which, at the destination",
			 "thread %d has %s %u, of which --allow lets \"%s\" send no program", tid, what, id, check->rule->name);
}

static int check_thread(void *ctx, const struct criu_creds *creds, struct error *err)
{
	const struct check *check = ctx;
	const struct namespaces *namespaces = check->namespaces;
	bool mapped = namespaces_have_user(namespaces);

	for (size_t i = 0; i < CRIU_CREDS_IDS; i++) {
		if (!has(&check->rule->uids, &namespaces->uids, mapped, creds->uids[i]))
			return refuse(check, creds->tid, "uid", creds->uids[i], err);
		if (!has(&check->rule->gids, &namespaces->gids, mapped, creds->gids[i]))
			return refuse(check, creds->tid, "gid", creds->gids[i], err);
	}
	for (size_t i = 0; i < creds->nr_groups; i++)
		if (!has(&check->rule->gids, &namespaces->gids, mapped, creds->groups[i]))
			return refuse(check, creds->tid, "group", creds->groups[i], err);
	/* in a user namespace they are of that namespace, whose ids Setup has named */
	if (creds->capable && !mapped)
		return error_set(err, CODE_REFUSED, NULL, "thread %d has capabilities, with which --allow lets \"%s\" send no program",
				 creds->tid, check->rule->name);
	return sender_check_rights(check->rule, creds, mapped, err);
}

/* Its content is the sender's, and it has a name for a while. Others trust what belongs to root. */
static int check_ghost(void *ctx, uint32_t uid, uint32_t gid, uint32_t mode, struct error *err)
{
	const struct check *check = ctx;
	bool mapped = namespaces_have_user(check->namespaces);

	if ((S_ISREG(mode) || S_ISDIR(mode)) && has(&check->rule->uids, &check->namespaces->uids, mapped, uid) &&
	    has(&check->rule->gids, &check->namespaces->gids, mapped, gid))
		return 0;
	return error_set(err, CODE_REFUSED, NULL,
			 "the images have a file without a name (mode %o, uid %u, gid %u) that gives rights or is not of a user whose programs --allow lets \"%s\" send",
			 mode, uid, gid, check->rule->name);
}

int sender_check_shared(const struct sender_rule *rule, const struct shm *shm, struct error *err)
{
	for (size_t i = 0; rule && rule->limited && i < shm->nr; i++)
		if (shm->images[i].mm->mirror.path)
			return error_set(err, CODE_REFUSED, NULL, "the program has a file of /dev/shm, with which --allow lets \"%s\" send no program",
					 rule->name);
	return 0;
}

int sender_check_images(const struct sender_rule *rule, const struct program *program, const struct namespaces *namespaces,
			int images_fd, struct error *err)
{
	struct check check = { .rule = rule, .namespaces = namespaces };

	if (!rule || !rule->limited)
		return 0;
	if (criu_plain_check(images_fd, rule->name, namespaces->own & 1U << CRIU_NS_IPC, err))
		return -1;
	for (size_t i = 0; i < program->nr; i++)
		if (criu_creds_each(images_fd, &program->processes[i]->task, check_thread, &check, err) ||
		    sender_check_attributes(rule, program->processes[i]->attributes.wanted, err))
			return -1;
	return criu_ghosts_each(images_fd, check_ghost, &check, err) ||
	       sender_check_opens(rule, program, namespaces, images_fd, err) ? -1 : 0;
}
