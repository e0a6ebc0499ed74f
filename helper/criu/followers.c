// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "criu/image.h"
#include "criu/repairs.h"
#include "images.pb-c.h"

/*
 * Mounts that follow one group of mounts outside are one group for CRIU's restore, which takes the group's source from
 * any of them, and copies it to the one with the shortest root. The kernel refuses that where the source shows less.
 * With a number of its own for what it follows each mount is a group, and gets it from its own source.
 */

/** struct followers - mounts of one namespace; @groups: inside; @last: largest number of a group */
struct followers {
	uint32_t *groups, last;
	size_t nr;
	bool failed;
};

static void take_number(struct followers *followers, uint32_t number)
{
	if (number > followers->last)
		followers->last = number;
}

/* Changes nothing. */
static bool take_groups(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__MntEntry *mount = (const Img__MntEntry *)msg;
	struct followers *followers = ctx;
	uint32_t *groups;

	if (!mount)
		return false;
	image_out_add(out, msg);
	take_number(followers, mount->shared_id);
	take_number(followers, mount->master_id);
	if (!mount->shared_id)
		return false;
	groups = reallocarray(followers->groups, followers->nr + 1, sizeof(*groups));
	followers->failed |= !groups;
	if (groups) {
		followers->groups = groups;
		groups[followers->nr++] = mount->shared_id;
	}
	return false;
}

static bool is_inside(const struct followers *followers, uint32_t group)
{
	for (size_t i = 0; i < followers->nr; i++)
		if (followers->groups[i] == group)
			return true;
	return false;
}

static bool part(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	Img__MntEntry *mount = (Img__MntEntry *)msg;
	struct followers *followers = ctx;
	bool follows;

	if (!mount)
		return false;
	follows = mount->has_master_id && mount->master_id && !is_inside(followers, mount->master_id);
	if (follows)
		mount->master_id = ++followers->last;
	image_out_add(out, msg);
	return follows;
}

int criu_followers_part(int images_dir_fd, struct error *err)
{
	struct followers followers = { 0 };
	int ret = image_edit_each(images_dir_fd, "mountpoints-", IMAGE_MNTS, &img__mnt_entry__descriptor, take_groups,
				  &followers, err);

	if (!ret && followers.failed)
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	if (!ret)
		ret = image_edit_each(images_dir_fd, "mountpoints-", IMAGE_MNTS, &img__mnt_entry__descriptor, part,
				      &followers, err);
	free(followers.groups);
	return ret;
}
