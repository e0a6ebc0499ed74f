// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "criu/image.h"
#include "criu/namespaces.h"
#include "images.pb-c.h"

static void take(struct criu_namespaces *namespaces, const Img__TaskKobjIdsEntry *from)
{
	*namespaces = (struct criu_namespaces){ 0 };
	/* an absent one is 0 */
	namespaces->ids[CRIU_NS_PID] = from->pid_ns_id;
	namespaces->ids[CRIU_NS_MOUNT] = from->mnt_ns_id;
	namespaces->ids[CRIU_NS_NETWORK] = from->net_ns_id;
	namespaces->ids[CRIU_NS_USER] = from->user_ns_id;
	namespaces->ids[CRIU_NS_TIME] = from->time_ns_id;
	namespaces->ids[CRIU_NS_CGROUP] = from->cgroup_ns_id;
	namespaces->ids[CRIU_NS_IPC] = from->ipc_ns_id;
	namespaces->ids[CRIU_NS_UTS] = from->uts_ns_id;
}

int criu_namespaces_of_criu(int images_dir_fd, struct criu_namespaces *namespaces, struct error *err)
{
	const Img__InventoryEntry *inventory;
	ProtobufCMessage *msg;
	bool told;

	if (image_read_one(images_dir_fd, "inventory.img", IMAGE_INVENTORY,
			   &img__inventory_entry__descriptor, &msg, err))
		return -1;
	inventory = (const Img__InventoryEntry *)msg;
	told = inventory->root_ids;
	if (told)
		take(namespaces, inventory->root_ids);
	protobuf_c_message_free_unpacked(msg, NULL);
	return told ? 0 : error_set(err, CODE_CRIU, NULL, "the images do not tell CRIU's own namespaces");
}

int criu_namespaces_of(int images_dir_fd, pid_t pid, struct criu_namespaces *namespaces,
		       struct error *err)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;

	snprintf(name, sizeof(name), "ids-%d.img", pid);
	if (image_read_one(images_dir_fd, name, IMAGE_IDS, &img__task_kobj_ids_entry__descriptor, &msg,
			   err))
		return -1;
	take(namespaces, (const Img__TaskKobjIdsEntry *)msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}

static bool take_map(struct id_map *map, Img__UidGidExtent **from, size_t nr)
{
	map->nr = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct id_range range = {
			.inside = from[i]->first, .outside = from[i]->lower_first,
			.count = from[i]->count,
		};

		if (!id_map_add(map, &range))
			return false;
	}
	return true;
}

int criu_namespaces_maps(int images_dir_fd, uint32_t id, struct id_map *uids, struct id_map *gids,
			 struct error *err)
{
	const Img__UsernsEntry *entry;
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	bool good;

	snprintf(name, sizeof(name), "userns-%u.img", id);
	if (image_read_one(images_dir_fd, name, IMAGE_USERNS, &img__userns_entry__descriptor, &msg, err))
		return -1;
	entry = (const Img__UsernsEntry *)msg;
	good = take_map(uids, entry->uid_map, entry->n_uid_map) &&
	       take_map(gids, entry->gid_map, entry->n_gid_map);
	protobuf_c_message_free_unpacked(msg, NULL);
	return good ? 0 : error_set(err, CODE_CRIU, NULL, "image %s has wrong maps of ids", name);
}
