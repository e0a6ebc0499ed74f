// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "backend/backend.h"

static const char *const names[] = {
	[BACKEND_AUTO] = "auto", [BACKEND_MODULE] = "module", [BACKEND_VMREAD] = "vmread",
};

int backend_kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

/* The reason for the choice, before the reason for the tracker. */
static void explain(struct backend *backend, const char *choice)
{
	char tracker[sizeof(backend->why)];

	memcpy(tracker, backend->why, sizeof(tracker));
	snprintf(backend->why, sizeof(backend->why), "%s%s%.100s", choice, *tracker ? "; " : "",
		 tracker);
}

struct backend *backend_open(enum backend_kind kind, pid_t pid, const struct backend_hold *hold,
			     struct error *err)
{
	char choice[96] = "--backend says so";
	bool module = kind == BACKEND_MODULE;
	struct backend *backend;

	if (kind == BACKEND_AUTO)
		module = module_can(choice, sizeof(choice));
	backend = module ? module_open(pid, err) : vmread_open(pid, hold, err);
	if (backend)
		explain(backend, choice);
	return backend;
}

void backend_close(struct backend *backend)
{
	if (backend)
		backend->ops->close(backend);
}
