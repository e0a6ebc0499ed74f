// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "backend/backend.h"

static const char *const names[] = {
	[BACKEND_AUTO] = "auto", [BACKEND_MODULE] = "module", [BACKEND_VMREAD] = "vmread",
};

static const char *const tracker_names[] = {
	[TRACKER_AUTO] = "auto", [TRACKER_WRITE_PROTECT] = "write-protect",
	[TRACKER_SOFT_DIRTY] = "soft-dirty",
};

static int find(const char *const *list, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(name, list[i]))
			return i;
	return -1;
}

int backend_kind_find(const char *name)
{
	return find(names, sizeof(names) / sizeof(*names), name);
}

int backend_tracker_find(const char *name)
{
	return find(tracker_names, sizeof(tracker_names) / sizeof(*tracker_names), name);
}

/* Put the reason for the choice of backend in front of the reason for the tracker. */
static void explain(struct backend *backend, const char *choice)
{
	char tracker[sizeof(backend->why)];

	memcpy(tracker, backend->why, sizeof(tracker));
	snprintf(backend->why, sizeof(backend->why), "%s%s%.100s", choice, *tracker ? "; " : "",
		 tracker);
}

struct backend *backend_open(enum backend_kind kind, enum backend_tracker tracker, pid_t pid,
			     const struct backend_hold *hold, struct error *err)
{
	char choice[96] = "--backend says so";
	bool module = kind == BACKEND_MODULE;
	struct backend *backend;

	if (kind == BACKEND_AUTO)
		module = module_can(choice, sizeof(choice));
	if (!module && tracker == TRACKER_WRITE_PROTECT) {
		error_set(err, CODE_NOT_READY, "load the module, or leave --tracker out",
			  "the tracker write-protect needs the module: %s",
			  kind == BACKEND_AUTO ? choice : "the backend is vmread");
		return NULL;
	}
	backend = module ? module_open(pid, tracker, hold, err) : vmread_open(pid, hold, err);
	if (backend)
		explain(backend, choice);
	return backend;
}

void backend_close(struct backend *backend)
{
	if (backend)
		backend->ops->close(backend);
}
