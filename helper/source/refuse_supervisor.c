// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include "os/proc.h"
#include "source/refuse.h"
#include "source/supervisor.h"

/* A shell that waits for the program ends with its status 137. */
static bool is_shell(const char *comm)
{
	static const char *const shells[] = { "sh", "dash", "bash", "ash", "busybox" };

	for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++)
		if (!strcmp(comm, shells[i]))
			return true;
	return false;
}

static bool find(const struct source_process *root, struct supervisor *found)
{
	struct parent_facts facts;
	struct proc_status shell;

	if (!supervisor_read(root->pid, root->status.ppid, &facts))
		return false;
	if (is_shell(facts.comm) && !proc_status_read(facts.pid, &shell, &(struct error){ 0 }) &&
	    !supervisor_read(root->pid, shell.ppid, &facts))
		return false;
	return supervisor_match(&facts, found);
}

void refuse_supervisor(const struct inspection *terms, const struct source_process *root)
{
	struct supervisor found;
	char restart[32];
	bool asked;

	if (!find(root, &found))
		return;
	if (!found.unit[0]) {
		losses_add(terms->losses, LOSS_SUPERVISOR, "%s; %s: %s", found.name, found.when,
			   found.advice);
		return;
	}
	asked = supervisor_ask(&found, restart, sizeof(restart));
	if (!asked || supervisor_restarts(restart))
		losses_add(terms->losses, LOSS_SUPERVISOR, "%s (%s%s); %s: %s", found.name,
			   asked ? "Restart=" : "unless Restart=no", asked ? restart : "",
			   found.when, found.advice);
}
