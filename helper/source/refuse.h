/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SETUP at the source: the reasons for which a program is refused, and the losses of a move. Each
 * refuse_*.c looks at one kind of object: descriptors, sockets, terminals, control group.
 */
#ifndef MIGRATE_SOURCE_REFUSE_H
#define MIGRATE_SOURCE_REFUSE_H

#include "os/proc_files.h"
#include "source/inspection.h"
#include "source/mounts.h"

/** refuse_program() - look at the whole program in SETUP; -1 with @err: the program is refused */
int refuse_program(const struct inspection *terms, const struct tree *tree, struct error *err);
/**
 * refuse_joining() - look at the memory and the namespaces of a process that began since SETUP
 *
 * To be called before the tracker of the process starts: write-protection would make each mapping one
 * under a userfaultfd. The descriptors are looked at later, since most such processes end before.
 */
int refuse_joining(const struct inspection *terms, struct source_process *process,
		   struct error *err);
/**
 * refuse_frozen() - look once more at the frozen program, for what it changed since SETUP
 *
 * And for the first time at the descriptors of processes that began since refuse_attached().
 */
int refuse_frozen(const struct inspection *terms, const struct tree *tree, struct error *err);

/**
 * refuse_attached() - the freeze is next: refuse_unix(), refuse_terminals() and refuse_renamed() of all
 *	processes, and all descriptors of those that began since SETUP
 */
int refuse_attached(const struct inspection *terms, const struct tree *tree, struct error *err);

/** refuse_pid_ns() - a PID namespace whose first process is not the root; CRIU restores no such one */
void refuse_pid_ns(const struct inspection *look, struct refusals *refusals);
/** has_own_user_ns() - the program has a user namespace that the helper is not in */
bool has_own_user_ns(const struct tree *tree);
/** refuse_user_ns() - a user namespace that CRIU does not restore, and ids that cannot be had in it */
void refuse_user_ns(const struct inspection *look, struct refusals *refusals);
/** has_own_cgroup_ns() - the program has a cgroup namespace that the helper is not in */
bool has_own_cgroup_ns(const struct tree *tree);
/** refuse_cgroup_ns() - one that begins neither with the root's control group nor above it: the destination makes no other */
void refuse_cgroup_ns(const struct inspection *look, struct refusals *refusals);
/** refuse_strangers() - -1 with @err when a process in the program's own PID namespace is not of the tree */
int refuse_strangers(const struct tree *tree, struct error *err);

/** refuse_memory() - mappings that cannot be carried; @look has them with all flags */
void refuse_memory(const struct inspection *look, struct refusals *refusals);
/** refuse_new_memory() - huge pages and asynchronous I/O that came since SETUP; @vmas: without flags */
int refuse_new_memory(const struct inspection *look, const struct vma_list *vmas, struct error *err);
/** refuse_guards() - guard pages, which CRIU does not carry */
void refuse_guards(const struct inspection *look, struct refusals *refusals);
/** refuse_new_guards() - those that were installed since SETUP; @vmas: as they are now */
int refuse_new_guards(const struct inspection *look, const struct vma_list *vmas, struct error *err);
/** refuse_mappings() - add writable shared mappings of files to the losses */
void refuse_mappings(struct inspection *look, const struct vma_list *vmas);
/**
 * refuse_files() - add files that are open for writing to the losses
 *
 * Each refuse_*() returns 0, or -1 with @err when the program cannot be looked at.
 */
int refuse_files(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_shared() - add memory and deleted files that other processes share to the losses */
int refuse_shared(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_pipes() - add pipes and FIFOs with an end in another process to the losses */
int refuse_pipes(struct inspection *look, const struct proc_files *files, struct error *err);
/**
 * refuse_pipes_changed() - *@changed: since refuse_pipes() the process has other pipes, or the tree has other
 *	processes, so that another process may hold an end. No walk through all processes
 */
int refuse_pipes_changed(const struct inspection *look, const struct proc_files *files, bool *changed,
			 struct error *err);
/** refuse_unix() - unix sockets whose peer belongs to another process */
int refuse_unix(struct inspection *look, const struct proc_files *files,
		struct refusals *refusals, struct error *err);
/** refuse_terminals() - terminals of other programs, the controlling terminal, the session */
int refuse_terminals(struct inspection *look, const struct proc_files *files,
		     struct refusals *refusals, struct error *err);
/** refuse_renamed() - files whose name is gone, and which have another one in another directory */
int refuse_renamed(struct inspection *look, const struct proc_files *files,
		   struct refusals *refusals, struct error *err);
/** refuse_kinds() - descriptors of kinds that cannot be carried at all */
int refuse_kinds(struct inspection *look, const struct proc_files *files,
		 struct refusals *refusals, struct error *err);
/** is_terminal() - a terminal, a pty's slave or the console; not a pty's master */
bool is_terminal(const struct proc_file *file);
/** refuse_sockets() - add connections and unread data of sockets to the losses */
int refuse_sockets(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_sockopts() - add socket options that CRIU does not carry to the losses */
int refuse_sockopts(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_cgroup() - add the control group and its limits to the losses */
int refuse_cgroup(struct inspection *look, struct error *err);
/** refuse_apparmor() - a process in an AppArmor namespace: CRIU would leave its policy suspended if this is given up */
void refuse_apparmor(pid_t pid, struct refusals *refusals);
/** refuse_label() - the same, of a process with @label (/proc/PID/attr/current) */
void refuse_label(pid_t pid, const char *label, struct refusals *refusals);
/** refuse_attributes() - add attributes of the process that CRIU does not carry to the losses */
int refuse_attributes(struct inspection *look, const struct proc_files *files, struct error *err);
/** refuse_ipc() - add an IPC namespace that a process outside of the program has too to the losses */
int refuse_ipc(const struct inspection *terms, const struct tree *tree, struct error *err);
/** refuse_supervisor() - a supervisor that would make a second copy, into the losses */
void refuse_supervisor(const struct inspection *terms, const struct source_process *root);
/** refuse_status_line() - what one line of /proc/PID/status says, into the losses */
void refuse_status_line(struct inspection *look, const char *line);

/** criu_is_4_1() - CRIU 4.1 or later; what it carries was read in the sources of CRIU 4.1.1 */
bool criu_is_4_1(const struct criu_version *criu);

/** storage_is_shared() - true when a --shared-storage directory contains @path, as the program sees it */
bool storage_is_shared(const struct migrate_options *opts, const struct source_mounts *mounts,
		       const char *path);

/**
 * file_is_carried() - true when the file @path, as /proc shows it, goes as an object of its own where the
 *	program has it open or shared: a file of /dev/shm, which is on tmpfs (source/shm.h)
 */
bool file_is_carried(const struct migrate_options *opts, const struct source_mounts *mounts,
		     const char *path);

#endif
