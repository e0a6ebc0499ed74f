// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include "base/text.h"
#include "dest/precheck.h"
#include "dest/precheck_files.h"
#include "dest/precheck_hugetlb.h"
#include "dest/precheck_sockets.h"
#include "os/memory_limit.h"
#include "os/ns_pids.h"
#include "os/proc.h"

#define MIB		(1UL << 20)
#define IMAGES_RESERVE	(32 * MIB)	/* CRIU's images without shared memory */
#define MAX_VMAS	(1u << 18)
#define MAX_CPU_FLAGS	4096
#define MAX_PID		(1 << 22)
#define MAX_SHM_NAME	249	/* of memfd_create() */

static void check_criu(const Migrate__CriuVersion *source, const struct criu_version *here,
		       struct refusals *refusals)
{
	uint64_t theirs = (uint64_t)source->major << 32 | source->minor << 16 | source->sublevel;
	uint64_t ours = (uint64_t)here->major << 32 | here->minor << 16 | here->sublevel;

	if (ours < theirs)
		precheck_refuse(refusals, "CRIU here is %d.%d.%d, older than %u.%u.%u at the source: install that or a newer one here",
		       here->major, here->minor, here->sublevel, source->major, source->minor,
		       source->sublevel);
}

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	while (*line) {
		size_t nr = strcspn(line, " \n");

		if (len && nr == len && !memcmp(line, word, len))
			return true;
		line += nr;
		line += strspn(line, " \n");
	}
	return false;
}

static void check_cpu(const Migrate__Setup *setup, struct refusals *refusals)
{
	char missing[256] = "", *flags;
	struct utsname uts;
	size_t nr = 0;

	uname(&uts);
	if (strcmp(uts.machine, setup->arch)) {
		precheck_refuse(refusals, "this machine is %s, the source is %s", uts.machine, setup->arch);
		return;
	}
	if (setup->n_cpu_flags > MAX_CPU_FLAGS) {
		precheck_refuse(refusals, "the source has %zu CPU features, more than the %d that are looked at",
		       setup->n_cpu_flags, MAX_CPU_FLAGS);
		return;
	}
	flags = proc_cpu_flags();
	if (!flags)
		return;
	for (size_t i = 0; i < setup->n_cpu_flags; i++) {
		if (has_word(flags, setup->cpu_flags[i]))
			continue;
		if (nr++ < 12 && strlen(missing) + strlen(setup->cpu_flags[i]) + 2 < sizeof(missing))
			sprintf(missing + strlen(missing), " %s", setup->cpu_flags[i]);
	}
	free(flags);
	if (nr)
		precheck_refuse(refusals, "the CPU here lacks %s that the source has:%s%s; use a CPU of the same kind or a newer one",
		       text_count(nr, "feature", "features").text, missing, nr > 12 ? " …" : "");
}

int precheck_memory(uint64_t bytes, struct error *err)
{
	uint64_t available = proc_mem_available(), room;
	char group[128];

	room = memory_limit_room(group, sizeof(group));
	if (room < bytes + MEMORY_RESERVE)
		return error_set(err, CODE_NOT_READY, "give serve a larger memory.max, or none",
				 "the memory limit of control group %s leaves %lu MiB here, %lu MiB are needed",
				 group, room / MIB, (bytes + MEMORY_RESERVE) / MIB);
	/* 0: MemAvailable is not known */
	if (!available || available >= bytes + MEMORY_RESERVE)
		return 0;
	return error_set(err, CODE_NOT_READY, "free some memory here",
			 "%lu MiB of memory are available here, %lu MiB are needed",
			 available / MIB, (bytes + MEMORY_RESERVE) / MIB);
}

uint64_t precheck_image_bytes(const Migrate__Setup *setup)
{
	uint64_t huge = precheck_hugetlb_bytes(setup), ghosts = setup->ghost_bytes;
	uint64_t tmpfs = setup->tmpfs_bytes;

	/* absent: 0. More than there can be is refused below */
	return huge < USER_END && ghosts < USER_END && tmpfs < USER_END ? huge + ghosts + tmpfs : USER_END;
}

static void check_room(const Migrate__Setup *setup, const char *base, struct refusals *refusals)
{
	uint64_t room, images = precheck_image_bytes(setup);
	struct error err = { 0 };
	struct statfs fs;

	if (setup->rss_bytes >= USER_END) {
		precheck_refuse(refusals, "the program has %lu MiB of memory, more than there can be",
		       setup->rss_bytes / MIB);
		return;
	}
	/* one that is more than there can be is refused with the images */
	if (precheck_memory(setup->rss_bytes + setup->rss_bytes / 10 +
			    (setup->tmpfs_bytes < USER_END ? setup->tmpfs_bytes : 0), &err))
		precheck_refuse(refusals, "%s: free some memory here", err.what);
	if (statfs(base, &fs))
		return;
	/* the pages of shared memory are not in the images: dest/shm.h */
	room = (uint64_t)fs.f_bavail * fs.f_bsize;
	if (images >= USER_END || room < images + IMAGES_RESERVE)
		precheck_refuse(refusals, "%s has %lu MiB left for CRIU's images, %lu MiB are needed: make room or choose another --images-dir",
		       base, room / MIB, (images + IMAGES_RESERVE) / MIB);
}

void precheck_needs(const Migrate__Setup *setup, struct refusals *refusals)
{
	precheck_files(setup, refusals);
	precheck_hugetlb(setup, refusals);
	precheck_servers(setup, refusals);
	precheck_addresses(setup, refusals);
}

void precheck_setup(const Migrate__Setup *setup, const struct criu_version *criu,
		    const char *base, struct refusals *refusals)
{
	check_criu(setup->criu, criu, refusals);
	check_cpu(setup, refusals);
	precheck_needs(setup, refusals);
	check_room(setup, base, refusals);
	/* with pid 1 it is the first process of a namespace of its own */
	if (setup->pid < NS_INIT_PID || setup->pid > MAX_PID)
		precheck_refuse(refusals, "the program has pid %d at the source, which cannot be given to it here: start it with another pid",
		       setup->pid);
}

void precheck_options(const Migrate__Setup *setup, const struct criu_config *here,
		      struct criu_config *granted, struct refusals *refusals)
{
	granted->nr = 0;
	if (setup->n_criu_options > CRIU_OPTIONS_MAX) {
		precheck_refuse(refusals, "the source asks for %zu options of CRIU, and %d are taken",
				setup->n_criu_options, CRIU_OPTIONS_MAX);
		return;
	}
	for (size_t i = 0; i < setup->n_criu_options; i++) {
		struct error why = { 0 };

		if (criu_config_grant(here, setup->criu_options[i], granted, &why))
			precheck_refuse(refusals, "%s", why.what);
	}
}

int precheck_object(const Migrate__Object *object, struct error *err)
{
	if (object->kind == MIGRATE__OBJECT_KIND__MM && object->id && object->has_pid &&
	    object->pid >= NS_INIT_PID && object->pid <= MAX_PID)
		return 0;
	if (object->kind == MIGRATE__OBJECT_KIND__SHM && object->id && !object->has_pid &&
	    !object->has_parent && object->name && strlen(object->name) <= MAX_SHM_NAME &&
	    (!object->huge_kib || object->huge_kib == 2048 || object->huge_kib == 1048576))
		return 0;
	return error_set(err, CODE_PEER, NULL,
			 "the source announced object %u of kind %d and process %d", object->id,
			 object->kind, object->pid);
}

int precheck_objects(const Migrate__Setup *setup, struct error *err)
{
	if (!setup->n_objects || setup->objects[0]->pid != setup->pid)
		return error_set(err, CODE_PEER, NULL,
				 "the source did not announce the address space of process %d",
				 setup->pid);
	for (size_t i = 0; i < setup->n_objects; i++)
		if (precheck_object(setup->objects[i], err))
			return -1;
	return 0;
}

int precheck_vmas(Migrate__Vma **vmas, size_t nr, struct mirror_range **ranges,
		  size_t *nr_ranges, struct error *err)
{
	uint64_t last = 0;

	if (nr > MAX_VMAS)
		return error_set(err, CODE_PEER, NULL, "the source announced %zu mappings", nr);
	*nr_ranges = 0;
	*ranges = calloc(nr + 1, sizeof(**ranges));
	if (!*ranges)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for %zu mappings", nr);
	for (size_t i = 0; i < nr; i++) {
		const Migrate__Vma *vma = vmas[i];

		/* [vsyscall] is above user space */
		if (!vma->ours)
			continue;
		if (vma->start < last || vma->end <= vma->start || vma->end > USER_END ||
		    (vma->start | vma->end) & (PAGE_BYTES - 1)) {
			free(*ranges);
			*ranges = NULL;
			return error_set(err, CODE_PEER, NULL,
					 "the source announced a wrong mapping 0x%lx-0x%lx",
					 vma->start, vma->end);
		}
		(*ranges)[(*nr_ranges)++] = (struct mirror_range){ vma->start, vma->end };
		last = vma->end;
	}
	return 0;
}
