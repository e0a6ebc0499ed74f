// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "os/proc_files.h"
#include "source/refuse.h"

/* Of the kernel's list of devices. */
#define TTY_MAJOR		4	/* virtual terminals, serial lines */
#define TTYAUX_MAJOR		5
#define TTYAUX_TTY		0	/* /dev/tty: the controlling terminal */
#define TTYAUX_CONSOLE		1
#define TTYAUX_PTMX		2
#define PTS_MAJOR		136
#define PTS_MAJOR_LAST		143

/**
 * struct terminal_walk - the program's terminals
 * @own: numbers of the ptys whose master the program holds
 * @nr_fds: number of descriptors of foreign terminals, whose master another process holds
 * @fds: the first few of these descriptors as text
 * @name: path of the first foreign terminal
 */
struct terminal_walk {
	struct inspection *look;
	unsigned int *own;
	size_t nr_own, nr_fds;
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

static bool is_own_number(const struct terminal_walk *walk, unsigned int number)
{
	for (size_t i = 0; i < walk->nr_own; i++)
		if (walk->own[i] == number)
			return true;
	return false;
}

/* True when the program holds the master of its own controlling terminal. */
static bool controlled_by_own(const struct terminal_walk *walk)
{
	dev_t tty = walk->look->process->status.tty;

	return is_pts(tty) && is_own_number(walk, minor(tty));
}

static bool is_own(const struct terminal_walk *walk, dev_t rdev)
{
	if (rdev == makedev(TTYAUX_MAJOR, TTYAUX_TTY))
		return controlled_by_own(walk);
	return is_pts(rdev) && is_own_number(walk, minor(rdev));
}

static int take_master(void *ctx, const struct proc_file *file, struct error *err)
{
	struct terminal_walk *walk = ctx;
	unsigned int number, *own;

	if (!S_ISCHR(file->st.st_mode) ||
	    file->st.st_rdev != makedev(TTYAUX_MAJOR, TTYAUX_PTMX) ||
	    !proc_fd_tty_index(file->pid, file->fd, &number))
		return 0;
	own = realloc(walk->own, (walk->nr_own + 1) * sizeof(*own));
	if (!own)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of terminals");
	walk->own = own;
	own[walk->nr_own++] = number;
	return 0;
}

/* Those of the process, and those of the others of the program, which move with them. */
static int take_masters(struct terminal_walk *walk, const struct proc_files *files, struct error *err)
{
	const struct inspection *look = walk->look;
	struct source_process *other;
	int ret = proc_files_each(files, take_master, walk, err);

	tree_for_each(look->tree, other) {
		struct error ended = { 0 };
		struct proc_files theirs;

		if (ret || other == look->process || proc_files_read(other->pid, &theirs, &ended))
			continue;
		ret = proc_files_each(&theirs, take_master, walk, err);
		proc_files_free(&theirs);
	}
	return ret;
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

	if (!is_terminal(file) || is_own(walk, file->st.st_rdev))
		return 0;
	if (!walk->nr_fds++)
		snprintf(walk->name, sizeof(walk->name), "%s", file->path);
	if (walk->nr_fds <= 8)
		snprintf(walk->fds + len, sizeof(walk->fds) - len, "%s%d", len ? ", " : "",
			 file->fd);
	return terminals_add(&walk->look->attached->terminals, &file->st, err);
}

static void sort_out(struct terminal_walk *walk, struct refusals *refusals)
{
	struct inspection *look = walk->look;
	bool many = walk->nr_fds > 1;
	pid_t pid = look->process->pid;

	if (walk->nr_fds && look->opts->replace_tty)
		losses_add(look->losses, LOSS_TERMINAL, "descriptor%s %s, of %s: %s there",
			   many ? "s" : "", walk->fds, walk->name, look->opts->replace_tty);
	else if (walk->nr_fds)
		refuse(refusals,
		       "--replace-tty FILE lets the program write to FILE there instead, --replace-tty /dev/null to nowhere",
		       "descriptor%s %s%s of process %d %s of the terminal %s", many ? "s" : "",
		       walk->fds, walk->nr_fds > 8 ? " …" : "", pid, many ? "are" : "is",
		       walk->name);
	else if (look->process->status.tty && !controlled_by_own(walk))
		losses_add(look->losses, LOSS_TERMINAL, "its controlling terminal");
	if (!look->process->status.session)
		refuse(refusals, "start it with setsid",
		       "process %d is of a session that was made outside of its PID namespace", pid);
	else if (look->process->status.session != pid && look->process == tree_root(look->tree))
		losses_add(look->losses, LOSS_SESSION, "it leaves session %d", look->process->status.session);
}

int refuse_terminals(struct inspection *look, const struct proc_files *files,
		     struct refusals *refusals, struct error *err)
{
	struct terminal_walk walk = { .look = look };
	int ret;

	terminals_free(&look->attached->terminals);
	ret = take_masters(&walk, files, err) ||
	      proc_files_each(files, take_foreign, &walk, err) ? -1 : 0;
	if (!ret)
		sort_out(&walk, refusals);
	look->attached->terminals.file = look->opts->replace_tty;
	look->attached->terminals.leads = look->process->status.session == look->process->pid;
	free(walk.own);
	return ret;
}
