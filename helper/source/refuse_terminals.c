// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/surroundings.h"

/* Of the kernel's list of devices. */
#define TTY_MAJOR		4	/* virtual terminals, serial lines */
#define TTYAUX_MAJOR		5
#define TTYAUX_TTY		0	/* /dev/tty: the controlling terminal */
#define TTYAUX_CONSOLE		1
#define PTS_MAJOR		136
#define PTS_MAJOR_LAST		143

/**
 * struct terminal_walk - the terminals of one process
 * @nr_fds: number of descriptors of foreign terminals, whose master another process holds
 * @fds: the first few of these descriptors as text
 * @name: path of the first foreign terminal
 */
struct terminal_walk {
	struct inspection *look;
	size_t nr_fds;
	char fds[64], name[64];
};

static bool is_pts(dev_t rdev)
{
	return major(rdev) >= PTS_MAJOR && major(rdev) <= PTS_MAJOR_LAST;
}

bool is_terminal(const struct proc_file *file)
{
	dev_t rdev = file->st.st_rdev;

	return S_ISCHR(file->st.st_mode) &&
	       (is_pts(rdev) || major(rdev) == TTY_MAJOR ||
		(major(rdev) == TTYAUX_MAJOR && minor(rdev) <= TTYAUX_CONSOLE) ||
		!strncmp(file->path, "/dev/tty", 8));
}

/* *@own: a process of the program holds the master of the terminal. */
static int is_own(const struct terminal_walk *walk, dev_t rdev, bool *own, struct error *err)
{
	*own = false;
	/* /dev/tty is the controlling terminal */
	if (rdev == makedev(TTYAUX_MAJOR, TTYAUX_TTY))
		rdev = walk->look->process->status.tty;
	return is_pts(rdev) ?
	       surroundings_has_master(walk->look->around, minor(rdev), own, err) : 0;
}

static int terminals_add(struct terminals *all, const struct stat *st, struct error *err)
{
	struct terminal *items;

	for (size_t i = 0; i < all->nr; i++)
		if (all->items[i].rdev == st->st_rdev && all->items[i].dev == st->st_dev)
			return 0;
	items = realloc(all->items, (all->nr + 1) * sizeof(*items));
	if (!items)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of terminals");
	all->items = items;
	items[all->nr++] = (struct terminal){ st->st_rdev, st->st_dev };
	return 0;
}

static int take_foreign(void *ctx, const struct proc_file *file, struct error *err)
{
	struct terminal_walk *walk = ctx;
	size_t len = strlen(walk->fds);
	bool own = false;

	if (!is_terminal(file))
		return 0;
	if (is_own(walk, file->st.st_rdev, &own, err))
		return -1;
	if (own)
		return 0;
	if (!walk->nr_fds++)
		snprintf(walk->name, sizeof(walk->name), "%s", file->path);
	if (walk->nr_fds <= 8)
		snprintf(walk->fds + len, sizeof(walk->fds) - len, "%s%d", len ? ", " : "",
			 file->fd);
	return terminals_add(&walk->look->attached->terminals, &file->st, err);
}

static void say_foreign(const struct terminal_walk *walk, struct refusals *refusals)
{
	const struct inspection *look = walk->look;
	bool many = walk->nr_fds > 1;

	if (look->opts->replace_tty)
		losses_add(look->losses, LOSS_TERMINAL, "descriptor%s %s, of %s: %s there",
			   many ? "s" : "", walk->fds, walk->name, look->opts->replace_tty);
	else
		refuse(refusals,
		       "--replace-tty FILE lets the program write to FILE there instead, --replace-tty /dev/null to nowhere",
		       "descriptor%s %s%s of process %d %s of the terminal %s", many ? "s" : "",
		       walk->fds, walk->nr_fds > 8 ? " …" : "", look->process->pid,
		       many ? "are" : "is", walk->name);
}

static int sort_out(struct terminal_walk *walk, struct refusals *refusals, struct error *err)
{
	struct inspection *look = walk->look;
	const struct proc_status *status = &look->process->status;
	bool own;

	if (is_own(walk, status->tty, &own, err))
		return -1;
	if (walk->nr_fds)
		say_foreign(walk, refusals);
	else if (status->tty && !own)
		losses_add(look->losses, LOSS_TERMINAL, "its controlling terminal");
	if (!status->ns_session)
		refuse(refusals, "start it with setsid",
		       "process %d is of a session that was made outside of its PID namespace",
		       look->process->pid);
	else if (status->session != look->process->pid && look->process == tree_root(look->tree))
		losses_add(look->losses, LOSS_SESSION, "it leaves session %d", status->session);
	return 0;
}

int refuse_terminals(struct inspection *look, const struct proc_files *files,
		     struct refusals *refusals, struct error *err)
{
	struct terminal_walk walk = { .look = look };

	terminals_free(&look->attached->terminals);
	look->attached->terminals.file = look->opts->replace_tty;
	look->attached->terminals.leads = look->process->status.session == look->process->pid;
	return proc_files_each(files, take_foreign, &walk, err) ||
	       sort_out(&walk, refusals, err) ? -1 : 0;
}
