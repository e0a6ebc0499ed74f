// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdatomic.h>
#include <time.h>
#include "base/spread.h"
#include "base/text.h"
#include "os/proc_tree.h"
#include "os/proc_files.h"
#include "source/attributes.h"
#include "source/refuse.h"
#include "source/refuse_members.h"
#include "source/surroundings.h"

#define VFORK_MS	1000	/* until exec, which may read a slow disk */
#define VFORK_LOOKS	100	/* until each child that borrows was one of vfork */

static bool is_gone(const struct proc_status *status)
{
	return status->state == 'Z' || status->state == 'X';
}

static void refuse_without_main(pid_t pid, uint32_t threads, struct refusals *refusals)
{
	refuse(refusals, "CRIU carries no program without its main thread",
	       "the main thread of process %d has ended, and %s on", pid,
	       threads == 2 ? "1 other thread runs" :
	       text_count(threads - 1, "", "other threads run").text);
}

static void refuse_task(const struct source_process *process, struct refusals *refusals)
{
	const struct proc_status *target = &process->status;
	/* of a program that cannot be read the next look tells why */
	struct error ignored = { 0 };
	pid_t pid = process->pid;

	if (target->kernel) {
		refuse(refusals, NULL, "process %d is a kernel thread", pid);
		return;
	}
	if (is_gone(target) && target->threads > 1)
		refuse_without_main(pid, target->threads, refusals);
	else if (is_gone(target))
		refuse(refusals, NULL, "process %d has exited and waits for its parent", pid);
	else if (!proc_is_64bit(pid, &ignored))
		refuse(refusals, NULL, "process %d is no 64-bit program", pid);
	if (target->tracer)
		refuse(refusals, "end the debugger", "process %d is traced by process %d", pid,
		       target->tracer);
}

/* CRIU does not see it, and children of the restored process would be in another namespace than here. */
static void refuse_for_children(pid_t pid, ino_t own, const char *children, const char *text,
				struct refusals *refusals)
{
	/* without a first process a PID namespace cannot be read */
	if (own && proc_ns(pid, children) != own)
		refuse(refusals, "start it with unshare --fork",
		       "the children of process %d are in another %s namespace", pid, text);
}

/* All processes are compared with the root: a look at hundreds asks for its namespaces once. */
static ino_t root_space(const struct inspection *look, size_t nr, const char *name)
{
	pid_t root = tree_root(look->tree)->pid;
	ino_t known;

	if (!look->around)
		return proc_ns(root, name);
	known = atomic_load(&look->around->root_spaces[nr]);
	if (!known) {
		known = proc_ns(root, name);
		atomic_store(&look->around->root_spaces[nr], known);
	}
	return known;
}

/* A namespace of its own that the program may have is one for the whole tree: CRIU dumps no other. */
static void refuse_namespaces(const struct inspection *look, struct refusals *refusals)
{
	static const struct {
		const char *name, *text, *children;
	} spaces[SURROUNDINGS_SPACES] = {
		{ "pid", "PID", "pid_for_children" }, { "mnt", "mount", NULL },
		{ "net", "network", NULL }, { "user", "user", NULL },
		{ "time", "time", "time_for_children" }, { "cgroup", "cgroup", NULL },
		{ "ipc", "IPC", NULL }, { "uts", "UTS", NULL },
	};
	pid_t pid = look->process->pid, root = tree_root(look->tree)->pid;

	for (size_t i = 0; i < SURROUNDINGS_SPACES; i++) {
		const char *name = spaces[i].name;
		ino_t own = proc_ns(pid, name);

		if (pid != root && own != root_space(look, i, name))
			refuse(refusals, "let all processes of the program share one",
			       "process %d is in another %s namespace than process %d", pid,
			       spaces[i].text, root);
		if (spaces[i].children)
			refuse_for_children(pid, own, spaces[i].children, spaces[i].text, refusals);
	}
	refuse_pid_ns(look, refusals);
	refuse_user_ns(look, refusals);
	refuse_cgroup_ns(look, refusals);
}

/* The program may change these between SETUP and the freeze. */
static int find_changing(struct inspection *look, const struct proc_files *files,
			 const struct vma_list *vmas, struct error *err)
{
	refuse_mappings(look, vmas);
	return refuse_files(look, files, err) || refuse_sockets(look, files, err) ? -1 : 0;
}

#define LOSSES_OF_FROZEN	(1UL << LOSS_WRITABLE_FILE | 1UL << LOSS_APPENDED_FILE |		\
				 1UL << LOSS_GHOST_XATTRS | 1UL << LOSS_TCP_CONNECTIONS |	\
				 1UL << LOSS_IN_FLIGHT | 1UL << LOSS_DATAGRAMS)
#define LOSSES_OF_OTHERS	(1UL << LOSS_PIPE | 1UL << LOSS_SHARED_MEMORY)

/* What another process holds too: that process may have been one of the program's, and have left it since. */
static int find_others(struct inspection *look, const struct proc_files *files, struct error *err)
{
	return refuse_pipes(look, files, err) || refuse_shared(look, files, err) ? -1 : 0;
}

/* In any thread: the kernel counts the pages of each mapping for this. */
static int find_own_losses(struct inspection *look, struct error *err)
{
	struct proc_files own;
	const struct proc_files *files = source_process_files(look->process, &own, err);
	int ret = !files || refuse_cgroup(look, err) || refuse_attributes(look, files, err) ? -1 : 0;

	proc_files_free(&own);
	return ret;
}

static int find_losses(struct inspection *look, const struct proc_files *files, struct error *err)
{
	return find_changing(look, files, look->vmas, err) || refuse_sockopts(look, files, err) ||
	       find_others(look, files, err) ? -1 : 0;
}

/* What CRIU is to leave out of its images. */
static int refuse_left_out(struct inspection *look, const struct proc_files *files,
			   struct refusals *refusals, struct error *err)
{
	return refuse_unix(look, files, refusals, err) ||
	       refuse_terminals(look, files, refusals, err) ||
	       refuse_renamed(look, files, refusals, err) ? -1 : 0;
}

static int refuse_descriptors(struct inspection *look, struct refusals *refusals, struct error *err)
{
	struct proc_files own;
	const struct proc_files *files = source_process_files(look->process, &own, err);
	int ret = !files || refuse_kinds(look, files, refusals, err) ||
		  refuse_left_out(look, files, refusals, err) || find_losses(look, files, err) ? -1 : 0;

	proc_files_free(&own);
	return ret;
}

static void refuse_losses(const struct losses *losses, struct refusals *refusals)
{
	for (size_t i = 0; i < losses->nr; i++) {
		struct error loss = { 0 };

		if (losses->items[i].fate != LOSS_REFUSED)
			continue;
		losses_refusal(&losses->items[i], &loss);
		refuse(refusals, loss.hint, "%s", loss.what);
	}
}

static struct inspection look_at(const struct inspection *terms, struct source_process *process)
{
	struct inspection look = *terms;

	look.process = process;
	look.vmas = &process->mm.vmas;
	look.attached = &process->attached;
	return look;
}

/* The address space and the namespaces, as they are before the tracker changes flags of mappings. */
static int refuse_space(const struct inspection *terms, struct source_process *process,
			struct refusals *refusals, struct error *err)
{
	struct inspection look = look_at(terms, process);

	if (source_mm_read_vmas(&process->mm, err))
		return -1;
	refuse_namespaces(&look, refusals);
	refuse_apparmor(process->pid, refusals);
	refuse_memory(&look, refusals);
	refuse_guards(&look, refusals);
	return 0;
}

/* In any thread. */
static int look_at_process(const struct inspection *terms, struct source_process *process,
			   struct refusals *refusals, struct error *err)
{
	size_t before = refusals->nr;
	struct inspection look;

	source_process_forget_files(process);
	refuse_task(process, refusals);
	/* a kernel thread and a zombie have neither memory nor files */
	process->bare = refusals->nr > before;
	if (process->bare)
		return 0;
	source_process_read_files(process);
	if (refuse_space(terms, process, refusals, err))
		return -1;
	look = look_at(terms, process);
	return find_own_losses(&look, err);
}

static int look_at_files(const struct inspection *terms, struct source_process *process,
			 struct refusals *refusals, struct error *err)
{
	struct inspection look = look_at(terms, process);

	/* the look of Setup, which follows at once as a rule, may use the descriptors too */
	return process->bare ? 0 : refuse_descriptors(&look, refusals, err);
}

/* In any thread. */
static int read_files(const struct inspection *terms, struct source_process *process,
		      struct refusals *refusals, struct error *err)
{
	source_process_read_files(process);
	return 0;
}

static int look_at_attached(const struct inspection *terms, struct source_process *process,
			    struct refusals *refusals, struct error *err)
{
	struct inspection look = look_at(terms, process);
	struct proc_files own = { 0 };
	const struct proc_files *files;
	int ret;

	if (!process->inspected) {
		ret = find_own_losses(&look, err) || refuse_descriptors(&look, refusals, err) ? -1 : 0;
	} else {
		files = source_process_files(process, &own, err);
		ret = !files || refuse_left_out(&look, files, refusals, err) ||
		      find_others(&look, files, err) ? -1 : 0;
	}
	proc_files_free(&own);
	source_process_forget_files(process);
	return ret;
}

/* The attributes of all threads are one message, which is sent when the program stands. */
static void refuse_many(const struct tree *tree, struct refusals *refusals)
{
	const struct source_process *process;
	uint64_t threads = 0;

	if (tree->nr > OBJECTS_MAX)
		refuse(refusals, "let it run with fewer processes",
		       "the program has %zu processes, and no more than %d can be moved", tree->nr,
		       OBJECTS_MAX);
	tree_for_each(tree, process)
		threads += process->status.threads;
	if (threads > ATTRIBUTE_THREADS_MAX)
		refuse(refusals, "let it run with fewer threads",
		       "the program has %" PRIu64 " threads, and no more than %d can be moved", threads,
		       ATTRIBUTE_THREADS_MAX);
}

/* Threads begin and end since SETUP. Of a process that has ended meanwhile the old number does no harm. */
static void count_again(const struct tree *tree)
{
	struct source_process *process;

	tree_for_each(tree, process) {
		struct error ignored = { 0 };
		struct proc_status now;

		if (!proc_stat_read(process->pid, &now, &ignored))
			process->status.threads = now.threads;
	}
}

int refuse_attached(const struct inspection *terms, const struct tree *tree, struct error *err)
{
	struct refusals refusals = { 0 };

	if ((tree->mounts && source_mounts_check(tree->mounts, tree_root(tree)->pid, err)) ||
	    refuse_strangers(tree, err))
		return -1;
	count_again(tree);
	refuse_many(tree, &refusals);
	if (refusals.nr)
		return refusals_end(&refusals, tree_root(tree)->pid, err);
	losses_renew(terms->losses, LOSSES_OF_OTHERS | 1UL << LOSS_RECONNECTED | 1UL << LOSS_IPC_NAMESPACE |
		     1UL << LOSS_TERMINAL | 1UL << LOSS_SESSION);
	if (refuse_members(terms, read_files, look_at_attached, &refusals, err) || refuse_ipc(terms, tree, err))
		return -1;
	refuse_losses(terms->losses, &refusals);
	return refusals_end(&refusals, tree_root(tree)->pid, err);
}

/* Return: @pid borrows from its parent for so long that exec is not what it waits for */
static bool borrows_for_good(pid_t pid, pid_t *parent)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	struct error ignored = { 0 };
	struct proc_status now;

	for (int ms = 0; ms < VFORK_MS; ms += 10) {
		if (proc_stat_read(pid, &now, &ignored) || !proc_borrows(pid, now.ppid))
			return false;
		nanosleep(&tick, NULL);
	}
	*parent = now.ppid;
	return true;
}

/* A child that borrows the memory of its parent for good, or keeps it waiting; one of vfork ends that soon. */
static void refuse_borrowers(const struct tree *tree, struct refusals *refusals)
{
	pid_t pid = tree_find_borrower(tree), parent = 0;

	for (int i = 0; pid && !borrows_for_good(pid, &parent); i++)
		/* a program that calls vfork all the time has one in nearly each look */
		pid = i < VFORK_LOOKS ? tree_find_borrower(tree) : 0;
	if (pid && proc_shares_mm(pid, parent))
		refuse(refusals, "let the program start it by fork",
		       "process %d has the address space of its parent (CLONE_VM)", pid);
	else if (pid)
		refuse(refusals, "let the program start its child by fork",
		       "process %d waits until a child of it calls exec or ends (CLONE_VFORK)", parent);
}

int refuse_program(const struct inspection *terms, const struct tree *tree, struct error *err)
{
	pid_t root = tree_root(tree)->pid;
	struct refusals refusals = { 0 };

	refuse_many(tree, &refusals);
	if (refusals.nr)
		return refusals_end(&refusals, root, err);
	if (refuse_strangers(tree, err) ||
	    refuse_members(terms, look_at_process, look_at_files, &refusals, err) ||
	    refuse_ipc(terms, tree, err))
		return -1;
	refuse_borrowers(tree, &refusals);
	refuse_supervisor(terms, tree_root(tree));
	refuse_losses(terms->losses, &refusals);
	return refusals_end(&refusals, root, err);
}

/* The state that SETUP has looked at. */
static int look_at_task_again(const struct inspection *look, struct error *err)
{
	struct refusals refusals = { 0 };
	pid_t pid = look->process->pid;
	struct proc_status now;

	/* the tree was followed when it stood already, which finds this of all but the root */
	if (look->process == tree_root(look->tree) && source_process_called_exec(look->process))
		return error_set(err, CODE_TARGET, "migrate again", "process %d has called exec", pid);
	if (proc_stat_read(pid, &now, err))
		return -1;
	if (is_gone(&now) && now.threads > 1)
		refuse_without_main(pid, now.threads, &refusals);
	return refusals_end(&refusals, pid, err);
}

/* What concerns a process alone. */
static int look_apart_again(void *ctx, size_t at, struct error *err)
{
	const struct inspection *terms = ctx;
	struct source_process *process = terms->tree->processes[at];
	const struct inspection look = look_at(terms, process);
	const struct vma_list *vmas;

	if (process->gone || !process->inspected)
		return 0;
	if (look_at_task_again(&look, err))
		return -1;
	vmas = source_process_held(process, err);
	return !vmas || refuse_new_memory(&look, vmas, err) || refuse_new_guards(&look, vmas, err) ? -1 : 0;
}

static int look_again(struct inspection *look, struct source_process *process, bool *changed,
		      struct error *err)
{
	const struct vma_list *vmas = source_process_held(process, err);
	const struct proc_files *files = vmas ? source_process_held_files(process, err) : NULL;
	bool has_others = false;
	int ret;

	if (!files)
		return -1;
	ret = find_changing(look, files, vmas, err) ||
	      refuse_pipes_changed(look, files, &has_others, err) ? -1 : 0;
	*changed |= has_others;
	return ret;
}

int refuse_joining(const struct inspection *terms, struct source_process *process,
		   struct error *err)
{
	struct refusals refusals = { 0 };

	/* CRIU may hold the program already */
	process->status.tracer = 0;
	refuse_task(process, &refusals);
	if (!refusals.nr && refuse_space(terms, process, &refusals, err))
		return -1;
	return refusals_end(&refusals, process->pid, err);
}

/* A process that began since SETUP. */
static int refuse_joined(const struct inspection *terms, struct source_process *process,
			 struct error *err)
{
	struct inspection look = look_at(terms, process);
	struct refusals refusals = { 0 };

	if (find_own_losses(&look, err) || refuse_descriptors(&look, &refusals, err))
		return -1;
	process->inspected = true;
	return refusals_end(&refusals, process->pid, err);
}

static int look_at_others(const struct inspection *terms, struct source_process *process,
			  struct error *err)
{
	struct inspection look = look_at(terms, process);
	const struct proc_files *files = source_process_held_files(process, err);

	return files ? find_others(&look, files, err) : -1;
}

/* The walk through all processes that find_others() makes may be longer than all else here. */
static int refuse_each_frozen(const struct inspection *terms, struct error *err)
{
	struct source_process *process;
	bool changed = false;

	losses_renew(terms->losses, LOSSES_OF_FROZEN);
	if (spread_run(terms->tree->nr, look_apart_again, (void *)terms, err))
		return -1;
	tree_for_each(terms->tree, process) {
		struct inspection look = look_at(terms, process);

		if (process->inspected ? look_again(&look, process, &changed, err) :
					 refuse_joined(terms, process, err))
			return -1;
	}
	if (!changed)
		return 0;
	losses_renew(terms->losses, LOSSES_OF_OTHERS);
	tree_for_each(terms->tree, process)
		if (look_at_others(terms, process, err))
			return -1;
	return 0;
}

int refuse_frozen(const struct inspection *terms, const struct tree *tree, struct error *err)
{
	struct surroundings around = { .tree = tree };
	struct inspection look = *terms;
	int ret;

	look.around = &around;
	ret = refuse_strangers(tree, err) ||
	      (tree->mounts && source_mounts_check(tree->mounts, tree_root(tree)->pid, err)) ||
	      refuse_each_frozen(&look, err) ? -1 : 0;
	surroundings_forget(&around);
	return ret ? -1 : losses_refused(terms->losses, err);
}
