/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the helper sees of CRIU: a dump that is held with its tasks
 * frozen, a restore that leaves them frozen, and images that are made to fit.
 */
#ifndef MIGRATE_CRIU_CRIU_H
#define MIGRATE_CRIU_CRIU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"
#include "os/maps.h"
#include "pages/page_set.h"

#define CRIU_GHOST_BYTES_MAX	(64UL << 20)	/* of a deleted file that is open */

struct criu_version {
	int major, minor, sublevel;
};

/** criu_version_get() - ask the installed criu by RPC */
int criu_version_get(struct criu_version *version, struct error *err);

/** criu_check() - RPC check and feature check (mem_track, lazy_pages) */
int criu_check(struct error *err);
/** criu_check_restore() - the same without mem_track, which only a dump needs */
int criu_check_restore(struct error *err);

/**
 * criu_parent_write() - the source's side of the parent trick
 * @dir_fd: new directory in tmpfs; gets inventory and an empty pages image
 *
 * Then criu_parent_add() for each task.
 */
int criu_parent_write(int dir_fd, struct error *err);
/**
 * criu_parent_add() - pagemap-PID of one task
 * @pid: the task as seen in its own pid namespace
 *
 * CRIU only looks whether a clean page is *listed* here, so all of user space is: what
 * the task maps or moves until it is frozen cannot make the dump fail.
 */
int criu_parent_add(int dir_fd, pid_t pid, struct error *err);
/**
 * criu_tree_read() - which tasks the images tell, the root first
 * @pids: filled: by their pids in the images, without zombies; free() it
 */
int criu_tree_read(int images_dir_fd, pid_t **pids, size_t *nr, struct error *err);

struct criu_dump;	/* a criu swrk process and its RPC socket */

/**
 * struct criu_dump_opts - one dump
 * @pid: the task, as seen here
 * @images_dir_fd: gets the images and, with @parent, a symbolic link `parent`, which is of
 *	no use at the destination
 * @work_dir_fd: gets dump.log and CRIU's configuration; not the images directory
 * @parent: path of the parent directory relative to the images directory. NULL: there is none;
 *	pages of mappings that are never restored lazily are in the images then
 * @log_level: 0 to 4, as criu's -v
 * @externals: what is to be left out of the images, as "unix[INO]"
 * @leaves_session: the session, or a terminal, is one of others, and stays
 * @group: CRIU's own control group, made here and removed by the caller; NULL: none
 * @watch: called with CRIU's RPC socket when CRIU runs, and with -1 before that is closed or CRIU
 *	is held; shutdown() of it by another thread ends a dump that is not held. Or NULL
 * @before: called by criu_dump_start() before CRIU is asked to dump, or NULL
 * @undo: called when there will be no dump, before CRIU's end is waited for: the task is to run.
 *	With the @before that it undoes; or NULL
 * @frozen: control group of the task, frozen by @before. CRIU thaws it when it holds all threads,
 *	and freezes it again when it lets go of them. NULL: the task runs
 * @ctx, @before_ctx: for @watch; for @before and @undo
 */
struct criu_dump_opts {
	const struct cgroup *group, *frozen;
	pid_t pid;
	int images_dir_fd;
	int work_dir_fd;
	const char *parent;
	int log_level;
	char **externals;
	size_t nr_externals;
	bool leaves_session;
	void (*watch)(void *ctx, int rpc_fd);
	int (*before)(void *ctx, struct error *err);
	void (*undo)(void *ctx);
	void *ctx, *before_ctx;
};

/**
 * criu_dump_prepare() - start a CRIU that waits for criu_dump_start() with the same options
 * @dump: set when it waits
 *
 * Nothing is done to the task yet.
 */
int criu_dump_prepare(const struct criu_dump_opts *opts, struct criu_dump **dump,
		      struct error *err);
/**
 * criu_dump_start() - dump with lazy_pages, tcp_close, with a parent track_mem too; returns when held
 * @dump: of criu_dump_prepare(); freed, and NULL, on failure
 *
 * Returns 0 when CRIU waits in its status-ready notification: tasks frozen, images
 * complete, no page server on any port. On failure no task is traced.
 *
 * CRIU lets go of the tasks when the RPC socket hangs up. So that this process' death
 * is enough for it, whoever is forked from it while a dump is held closes criu_dump_fd().
 */
int criu_dump_start(const struct criu_dump_opts *opts, struct criu_dump **dump,
		    struct error *err);
pid_t criu_dump_pid(const struct criu_dump *dump);
/** criu_dump_fd() - RPC socket; readable/hang-up when CRIU died while it was held */
int criu_dump_fd(const struct criu_dump *dump);
/** criu_dump_is_held() - CRIU lives, and waits: the tasks have not run since the dump */
bool criu_dump_is_held(const struct criu_dump *dump);
/**
 * criu_dump_refuse() - let the tasks run on; frees @dump
 *
 * Refuses the notification and waits for CRIU's end. The guard must be off: CRIU needs the
 * tasks able to run to take its parasite out. Returns 0 when the tasks are on their own
 * again, also when CRIU had died before.
 */
int criu_dump_refuse(struct criu_dump *dump, struct error *err);
/**
 * criu_dump_kill() - kill -9 CRIU, reap it, free @dump
 *
 * For after the tasks were killed. Their parent cannot reap them before: CRIU traces them.
 */
void criu_dump_kill(struct criu_dump *dump);

/** struct criu_area - bytes of a task that the kernel rewrites at will (rseq) */
struct criu_area {
	uint64_t addr;
	uint32_t bytes;
};

/** struct criu_task - what the images say of a dumped task */
struct criu_task {
	pid_t pid;			/* virtual pid */
	bool was_stopped;		/* stopped at the source: stays so */
	struct vma_list vmas;		/* from mm-PID.img: without CRIU's parasite */
	bool *lazyable;			/* per VMA: CRIU registers it with the uffd */
	pid_t *tids;			/* of all threads, as in the images */
	size_t nr_threads;
	struct itimerval itimers[3];	/* what was left of ITIMER_REAL, _VIRTUAL, _PROF */
	struct criu_area *rseq;
	size_t nr_rseq;
};

/** criu_task_read() - task @pid, by its pid in the images; no zombie */
int criu_task_read(int images_dir_fd, pid_t pid, struct criu_task *task, struct error *err);
void criu_task_free(struct criu_task *task);
/**
 * criu_task_mask() - make zeros of what the kernel rewrites at will: rseq areas
 * @buf: what the task has at @addr
 *
 * Who compares its memory does so on both sides.
 */
void criu_task_mask(const struct criu_task *task, uint64_t addr, uint8_t *buf, uint64_t bytes);

/**
 * criu_task_add_rseq() - add the pages of the rseq areas to @pages
 *
 * The kernel has written to them while CRIU's code ran in the threads.
 */
int criu_task_add_rseq(const struct criu_task *task, struct page_set *pages, struct error *err);

/** struct criu_pages - where the data of parent pages comes from at the destination */
struct criu_pages {
	/* copy @nr_pages from @addr into @buf; -1 with err when they cannot be had */
	int (*read)(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf, struct error *err);
	void *ctx;
};

/**
 * criu_rewrite() - the destination's side of the parent trick
 * @images_dir_fd: images as they came; pagemap-PID is rewritten in place, a real
 *	`parent` directory is made inside
 * @task: from criu_task_read()
 * @pages: gives the data of pages that stay in the parent
 * @lazy: filled with the pages that the restore expects through the uffd
 *
 * Splits entries at VMA borders; PARENT in lazy-able VMAs becomes LAZY, also on stacks;
 * PARENT elsewhere stays and gets its data.
 */
int criu_rewrite(int images_dir_fd, const struct criu_task *task,
		 const struct criu_pages *pages, struct page_set *lazy, struct error *err);

/**
 * struct lazy_server - the socket on which `criu restore --lazy-pages` hands over its uffds
 *
 * Bound as lazy-pages.socket in @work_dir_fd's directory.
 */
struct lazy_server;
int lazy_server_listen(int work_dir_fd, struct lazy_server **srv, struct error *err);
int lazy_server_fd(const struct lazy_server *srv);	/* for poll: listening, then connected socket */
enum lazy_event { LAZY_NOTHING, LAZY_TASK, LAZY_FINISHED, LAZY_LOST };
/**
 * lazy_server_next() - one step
 *
 * LAZY_TASK fills @pid, as in the images, and @uffd: owned by the caller; -1 for a zombie.
 * Nothing comes after LAZY_FINISHED and LAZY_LOST but readiness for ever: poll no more.
 */
int lazy_server_next(struct lazy_server *srv, enum lazy_event *event, pid_t *pid, int *uffd,
		     struct error *err);
void lazy_server_close(struct lazy_server *srv);

/**
 * struct criu_restore_opts - one restore
 * @cancel_fd: readable or hung up: give up; -1: never
 * @criu: pid of CRIU; 0: it is not known, and not traced
 * @group: where CRIU was started; until pre-resume its death kills the tasks (criu/attach.h). NULL: no
 *	care is taken
 * @pre_resume: called when CRIU has done its last work in the tasks and before it lets go of
 *	them: CRIU traces every task and waits. A failure gives the restore up, and CRIU is not
 *	answered: whoever gives up kills it
 * @attaches: called when tracing of CRIU begins, and when it ends; or NULL
 */
struct criu_restore_opts {
	int images_dir_fd;
	int work_dir_fd;
	int log_level;
	int cancel_fd;
	const struct cgroup *group;
	pid_t criu;
	int (*pre_resume)(void *ctx, struct error *err);
	void (*attaches)(void *ctx, bool on);
	void *ctx;
};

/** criu_restore_warm() - until the `criu swrk` at the other end of @rpc_fd takes requests */
int criu_restore_warm(int rpc_fd, struct error *err);
/**
 * criu_restore_run() - drive a restore over @rpc_fd (lazy_pages, tcp_close)
 * @rpc_fd: our end of a socket pair whose other end `criu swrk` has, started by nsinit
 *	inside the new PID and mount namespaces: criu_swrk_exec() is what nsinit's child calls
 * @opts: its directories must have the same paths in the new mount namespace: CRIU gets
 *	them by path, in a configuration file written to the work directory
 * @root: pid of the restored task in its own PID namespace
 *
 * Blocks until CRIU has hung up with success and let go of the task, or failed. Nobody but CRIU
 * may hold the other end then. CRIU is about to die at that point, not dead: only then is the
 * task nsinit's child.
 *
 * A CRIU at pre-resume whose RPC socket hangs up lets go of the tasks. So the caller never shuts
 * the socket down, and somebody holds @rpc_fd's end until CRIU is dead: CRIU itself does.
 */
int criu_restore_run(int rpc_fd, const struct criu_restore_opts *opts, pid_t *root,
		     struct error *err);

/**
 * struct criu_leave - a thread that moves CRIU out of the control group of the tasks
 * @group: CRIU was started in it
 * @criu: pid of CRIU
 * @root: pid of the first task in its own PID namespace
 *
 * A change of group waits for all CPUs, some 10 ms. It is made while CRIU restores: as soon as the first
 * task, from which all others descend, was born in the group.
 */
struct criu_leave {
	const struct cgroup *group;
	pid_t criu, root;
	pthread_t thread;
	atomic_bool stop;
	bool runs;
};

/** criu_leave_start() - without it, or when it fails, criu_hold_tasks() moves CRIU */
void criu_leave_start(struct criu_leave *leave);
/** criu_leave_end() - before criu_hold_tasks(), or when the restore has failed; twice does no harm */
void criu_leave_end(struct criu_leave *leave);

/**
 * criu_hold_tasks() - at pre-resume: freeze the restored tasks, and not CRIU
 * @group: where CRIU was started, so that the tasks were born in it
 */
int criu_hold_tasks(const struct cgroup *group, struct error *err);

/**
 * criu_swrk_exec() - exec `criu swrk FD`; only returns on failure
 *
 * Resets signal dispositions and mask first: the restored task would inherit an ignored signal.
 * oom_score_adj is -1000 where that is allowed, and inherited by tasks whose images say 0.
 */
void criu_swrk_exec(int fd);

#endif
