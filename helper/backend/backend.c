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
	snprintf(backend->why, sizeof(backend->why), "%s%s%.120s", choice, *tracker ? "; " : "",
		 tracker);
}

struct backend *backend_open(enum backend_kind kind, pid_t pid, const struct backend_hold *hold,
			     struct error *err)
{
	bool module = kind == BACKEND_MODULE || (kind == BACKEND_AUTO && module_is_there());
	struct backend *backend = module ? module_open(pid, err) : vmread_open(pid, hold, err);

	if (!backend)
		return NULL;
	if (kind != BACKEND_AUTO)
		explain(backend, "--backend says so");
	else
		explain(backend, module ? "the module is loaded" : "the module is not loaded");
	return backend;
}

void backend_close(struct backend *backend)
{
	if (backend)
		backend->ops->close(backend);
}
