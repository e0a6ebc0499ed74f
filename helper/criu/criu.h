/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of this room: a dump that holds CRIU with the tasks frozen, a restore that leaves
 * the tasks frozen, and repairs of images.
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
#include "criu/config.h"
#include "os/cgroup.h"
#include "os/maps.h"
#include "pages/page_set.h"

struct criu_version {
	int major, minor, sublevel;
};

/** criu_version_get() - ask the installed criu by RPC */
int criu_version_get(struct criu_version *version, struct error *err);

/** criu_check() - RPC check and feature check (mem_track, lazy_pages) */
int criu_check(struct error *err);
/** criu_check_restore() - criu_check() without mem_track, which only a dump needs */
int criu_check_restore(struct error *err);

/**
 * criu_parent_write() - the source's side of the parent trick
 * @dir_fd: new directory in tmpfs; filled with inventory and an empty pages image
 *
 * Then criu_parent_add() for each task.
 */
int criu_parent_write(int dir_fd, struct error *err);
/**
 * criu_parent_add() - pagemap-PID of one task
 * @pid: the task in its own pid namespace
 *
 * CRIU only looks whether the parent *lists* a clean page, so the parent lists all of user space:
 * mappings that the task makes or moves before the freeze cannot make the dump fail.
 */
int criu_parent_add(int dir_fd, pid_t pid, struct error *err);
/**
 * criu_tree_read() - which tasks the images tell, the root first
 * @pids: filled: by their pids in the images, without zombies; free() it
 */
int criu_tree_read(int images_dir_fd, pid_t **pids, size_t *nr, struct error *err);

struct criu_dump;	/* a criu swrk process and its RPC socket */

/**
 * enum criu_tcp - what becomes of TCP connections
 * @CRIU_TCP_CLOSE: the restored sockets are closed
 * @CRIU_TCP_KEEP: they go on. A filter of the caller's keeps the peers away, and CRIU needs none
 * @CRIU_TCP_KEEP_LOCKED: the same, with a CRIU before 3.18, which makes a filter of its own all the same:
 *	the table "inet CRIU-PID" of nftables, which stays when CRIU does not end by itself
 */
enum criu_tcp { CRIU_TCP_CLOSE, CRIU_TCP_KEEP, CRIU_TCP_KEEP_LOCKED };

/**
 * struct criu_dump_shm - shared memory whose pages the dump throws away
 * @objects: @nr of them, by the name that CRIU has for them: the number of the inode, 32 bits of it.
 *	@dumped is set when the dump has the object
 * @stands: called once by another thread, with @ctx, when the dump has stopped all tasks, if it writes pages at
 *	all; or NULL
 */
struct criu_dump_shm {
	struct criu_shm_id {
		uint32_t shmid;
		bool dumped;
	} *objects;
	size_t nr;
	void (*stands)(void *ctx);
	void *ctx;
};

/**
 * struct criu_dump_opts - one dump
 * @pid: the task in the caller's pid namespace
 * @images_dir_fd: filled with the images and, with @parent, a symbolic link `parent`, which the
 *	destination does not use
 * @work_dir_fd: filled with dump.log and CRIU's configuration; not the images directory
 * @parent: path of the parent directory relative to the images directory. NULL: no parent; the
 *	images then have the pages of mappings that are never restored lazily
 * @log_level: 0 to 4, as criu's -v
 * @externals: names of files that CRIU leaves out of the images, as "unix[INO]"
 * @leaves_session: the session, or a terminal, belongs to other processes, and stays
 * @shm: objects whose pages need not be in the images; NULL, or none: CRIU writes all images itself
 * @group: CRIU's own control group, which the dump makes and the caller removes; NULL: none
 * @watch: called with CRIU's RPC socket before a wait for CRIU, while it loads and while it
 *	dumps, and with -1 before the dump closes the socket or holds CRIU. Another thread may
 *	shutdown() the socket to end a dump that is not held. Or NULL
 * @before: called by criu_dump_start() in CRIU's notification pre-dump: CRIU has read its options, and
 *	looks at the task next; or NULL
 * @begin_ms: how long CRIU may take until then; 0: as long as it likes
 * @undo: undoes @before so that the task runs, before the wait for the end of a CRIU that will not
 *	dump; or NULL
 * @tcp: what becomes of TCP connections
 * @frozen: control group of the task, frozen by @before. CRIU thaws the group when it holds all
 *	threads, and freezes it again when it releases them. NULL: the task runs
 * @config: options that the user hands on; or NULL
 * @ctx: argument of @watch
 * @before_ctx: argument of @before and @undo
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
	enum criu_tcp tcp;
	struct criu_dump_shm *shm;
	const struct criu_config *config;
	void (*watch)(void *ctx, int rpc_fd);
	int (*before)(void *ctx, struct error *err);
	uint32_t begin_ms;
	void (*undo)(void *ctx);
	void *ctx, *before_ctx;
};

/**
 * criu_dump_prepare() - start a CRIU that waits for criu_dump_start() with the same options
 * @dump: set when CRIU waits
 *
 * The task runs on unchanged.
 */
int criu_dump_prepare(const struct criu_dump_opts *opts, struct criu_dump **dump,
		      struct error *err);
/**
 * criu_dump_start() - dump with lazy_pages, and with a parent track_mem; then hold CRIU
 * @dump: of criu_dump_prepare(); freed, and NULL, on failure
 *
 * Return: 0 when CRIU waits in its status-ready notification: tasks frozen, images complete, no
 * page server on any port. -1 with @err: no task is traced.
 *
 * CRIU releases the tasks when the RPC socket hangs up. A process that the caller forks while a
 * dump is held therefore closes criu_dump_fd(), so that the caller's death alone hangs up.
 */
int criu_dump_start(const struct criu_dump_opts *opts, struct criu_dump **dump,
		    struct error *err);
pid_t criu_dump_pid(const struct criu_dump *dump);
/** criu_dump_fd() - RPC socket; readable when a held CRIU has died */
int criu_dump_fd(const struct criu_dump *dump);
/** criu_dump_is_held() - CRIU lives and waits, so the tasks have not run since the dump */
bool criu_dump_is_held(const struct criu_dump *dump);
/**
 * criu_dump_refuse() - let the tasks run on; frees @dump
 *
 * Refuses the notification and waits for CRIU's end. The guard must be off: to take its parasite
 * out CRIU lets the tasks run its code. Return: 0 when no CRIU traces the tasks any more, also
 * when CRIU had died before.
 */
int criu_dump_refuse(struct criu_dump *dump, struct error *err);
/**
 * criu_dump_kill() - kill CRIU with SIGKILL, reap it, free @dump
 *
 * The tasks stay as they are, in their frozen control group. They can be killed, and are dead only once CRIU is.
 */
void criu_dump_kill(struct criu_dump *dump);

/** struct criu_area - bytes of a task that the kernel rewrites at any time (rseq) */
struct criu_area {
	uint64_t addr;
	uint32_t bytes;
};

/** struct criu_task - one dumped task, as read from the images */
struct criu_task {
	pid_t pid;			/* virtual pid */
	bool was_stopped;		/* stopped at the source, and stays stopped */
	struct vma_list vmas;		/* from mm-PID.img: without CRIU's parasite */
	bool *lazyable;			/* per VMA: CRIU registers it with the uffd */
	pid_t *tids;			/* of all threads, as in the images */
	size_t nr_threads;
	struct itimerval itimers[3];	/* time left of ITIMER_REAL, _VIRTUAL, _PROF */
	struct criu_area *rseq;
	size_t nr_rseq;
	uint64_t *stacks;		/* stack pointers of threads, as far as the images have any */
	size_t nr_stacks;
};

/** criu_task_read() - task @pid, by its pid in the images; no zombie */
int criu_task_read(int images_dir_fd, pid_t pid, struct criu_task *task, struct error *err);
void criu_task_free(struct criu_task *task);
/**
 * criu_task_mask() - overwrite with zeros the areas that the kernel rewrites at any time (rseq)
 * @buf: content of the task's memory at @addr
 *
 * Both ends mask before they compare memory.
 */
void criu_task_mask(const struct criu_task *task, uint64_t addr, uint8_t *buf, uint64_t bytes);

/**
 * criu_task_add_rseq() - add the pages of the rseq areas to @pages
 *
 * The kernel wrote to these pages while CRIU's code ran in the threads.
 */
int criu_task_add_rseq(const struct criu_task *task, struct page_set *pages, struct error *err);

#define CRIU_COPY_PAGES	256UL

/** struct criu_pages - the destination's source of data for parent pages */
struct criu_pages {
	/* copy @nr_pages from @addr into @buf; -1 with @err when a page is missing */
	int (*read)(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf, struct error *err);
	void *ctx;
};

/**
 * criu_pages_copy() - write pages of @pages into @fd, at its position
 * @buffer: of CRIU_COPY_PAGES pages
 * Return: 0; -1 with @err, also when others would be left without room for files
 */
int criu_pages_copy(const struct criu_pages *pages, uint64_t addr, uint64_t nr_pages, int fd, void *buffer,
		    struct error *err);

/**
 * criu_rewrite() - the destination's side of the parent trick
 * @images_dir_fd: images as received. The function rewrites pagemap-PID in place, and makes a real
 *	directory `parent`
 * @task: from criu_task_read()
 * @pages: source of data for pages that stay in the parent
 * @lazy: filled with the pages that the restore expects through the userfaultfd
 *
 * Splits entries at VMA borders. A PARENT entry in a VMA that can be lazy becomes LAZY, also on
 * stacks. Another PARENT entry stays, and the parent gets its data.
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
/**
 * lazy_server_resume() - go on where another process was, which lazy_server_listen() had begun
 * @fd: the connected socket, which the server owns then
 * @word: lazy_server_word()
 */
int lazy_server_resume(int work_dir_fd, int fd, pid_t word, struct lazy_server **srv, struct error *err);
/** lazy_server_adopt() - lazy_server_listen() with the socket @fd of another process, which the server owns then */
int lazy_server_adopt(int work_dir_fd, int fd, struct lazy_server **srv, struct error *err);
/** lazy_server_word() - the task whose userfaultfd comes next; 0: none was told */
pid_t lazy_server_word(const struct lazy_server *srv);
/** lazy_server_criu() - pid of the CRIU that is connected; 0: it has none here */
pid_t lazy_server_criu(const struct lazy_server *srv);
int lazy_server_fd(const struct lazy_server *srv);	/* for poll() */
enum lazy_event { LAZY_NOTHING, LAZY_TASK, LAZY_FINISHED, LAZY_LOST };
/**
 * lazy_server_next() - one step
 *
 * LAZY_TASK fills @pid, as in the images, and @uffd, which the caller then owns; -1 for a zombie.
 * What is returned stays in the socket until the next call, so that another process finds it there when the caller is
 * killed before it has recorded it.
 * After LAZY_FINISHED and LAZY_LOST the socket stays readable: the caller polls no more.
 */
int lazy_server_next(struct lazy_server *srv, enum lazy_event *event, pid_t *pid, int *uffd,
		     struct error *err);
/** lazy_server_withdraw() - nobody can connect any more. Return: false when CRIU has connected before that */
bool lazy_server_withdraw(struct lazy_server *srv);
void lazy_server_close(struct lazy_server *srv);
/** lazy_server_leave() - lazy_server_close() for a socket that another process has and goes on with */
void lazy_server_leave(struct lazy_server *srv);

/**
 * struct criu_restore_opts - one restore
 * @keeps_tcp: TCP connections go on
 * @config: options that the source asks for, and this destination grants; or NULL
 * @own_network: the program has a network namespace of its own, which no dump has locked
 * @root: mount point of the root of a mount namespace that the program has of its own; NULL: it has none
 * @externals: for CRIU's option external, as "mnt[NAME]:PATH"
 * @cancel_fd: the restore gives up when this descriptor is readable or hung up; -1: never
 * @criu: pid of CRIU; 0: not known, so that CRIU is not traced
 * @threads: of all tasks, which CRIU seizes; 0: not known
 * @group: control group in which CRIU was started. Until pre-resume CRIU's death kills the tasks
 *	(criu/attach.h). NULL: it does not
 * @pre_resume: called after CRIU's last work in the tasks, while CRIU still traces every task and
 *	waits. A failure gives the restore up without an answer to CRIU: the caller then kills CRIU
 * @holds_network: with @own_network: called with true before the first socket is restored in the new namespace,
 *	and with false when all are; or NULL
 * @attaches: called when the helper begins to trace CRIU, and when it ends; or NULL
 */
struct criu_restore_opts {
	int images_dir_fd;
	int work_dir_fd;
	int log_level;
	int cancel_fd;
	bool keeps_tcp, own_network;
	const struct criu_config *config;
	const char *root;
	char **externals;
	size_t nr_externals, threads;
	const struct cgroup *group;
	pid_t criu;
	int (*pre_resume)(void *ctx, struct error *err);
	int (*holds_network)(void *ctx, bool on, struct error *err);
	void (*attaches)(void *ctx, bool on);
	void *ctx;
};

/** criu_restore_warm() - wait until the `criu swrk` at the other end of @rpc_fd takes requests */
int criu_restore_warm(int rpc_fd, struct error *err);
/**
 * criu_restore_run() - drive a restore over @rpc_fd (lazy_pages)
 * @rpc_fd: one end of a socket pair; `criu swrk` has the other end. A child of nsinit has started
 *	CRIU in the new PID and mount namespaces by criu_swrk_exec()
 * @opts: the directories must have the same paths in the new mount namespace: CRIU gets them by
 *	path, in a configuration file in the work directory
 * @root: pid of the restored task in its own PID namespace
 *
 * Return: 0; -1 with @err; 1 with @err when CRIU itself says that it has failed
 *
 * Blocks until CRIU has released the task and hung up, or has failed. No other process may hold
 * CRIU's end then. After the hang-up CRIU is about to die: when it is dead, the task is nsinit's
 * child.
 *
 * A CRIU at pre-resume whose RPC socket hangs up releases the tasks. So the caller never shuts the
 * socket down, and CRIU itself holds a copy of @rpc_fd's end until it is dead.
 */
int criu_restore_run(int rpc_fd, const struct criu_restore_opts *opts, pid_t *root,
		     struct error *err);

/**
 * struct criu_leave - a thread that moves CRIU out of the control group of the tasks
 * @group: control group in which CRIU was started
 * @criu: pid of CRIU
 * @root: pid of the first task in its own PID namespace
 *
 * A change of group waits for all CPUs, some 10 ms. The thread makes the change while CRIU
 * restores, as soon as the group has the first task, from which all others descend.
 */
struct criu_leave {
	const struct cgroup *group;
	pid_t criu, root;
	pthread_t thread;
	atomic_bool stop;
	bool runs;
};

/** criu_leave_start() - start the thread; when that fails, criu_hold_tasks() moves CRIU */
void criu_leave_start(struct criu_leave *leave);
/** criu_leave_end() - before criu_hold_tasks(), or after a failed restore; may be called twice */
void criu_leave_end(struct criu_leave *leave);

/**
 * criu_hold_tasks() - at pre-resume: freeze the restored tasks, but not CRIU
 * @group: control group in which CRIU was started, and which the tasks inherited
 */
int criu_hold_tasks(const struct cgroup *group, struct error *err);

/**
 * criu_swrk_exec() - exec `criu swrk FD`; returns on failure only
 *
 * Resets signal dispositions and mask first, since the restored task would inherit an ignored
 * signal. Sets oom_score_adj to -1000 where allowed; tasks whose images say 0 inherit the score.
 */
void criu_swrk_exec(int fd);

#endif
