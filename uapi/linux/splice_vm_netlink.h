/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * splice_vm over generic netlink: the sessions, their targets and their counters.
 *
 * Documentation/netlink/splice_vm.yaml specifies the family; this header says the same
 * in C, name by name and number by number, and selftests/lint compares the two.
 *
 * The family exists in the initial network namespace. Dump and multicast group need
 * CAP_NET_ADMIN in the initial user namespace (EPERM without it).
 */
#ifndef _UAPI_LINUX_SPLICE_VM_NETLINK_H
#define _UAPI_LINUX_SPLICE_VM_NETLINK_H

#define SPLICE_VM_FAMILY_NAME		"splice_vm"
#define SPLICE_VM_FAMILY_VERSION	1

#define SPLICE_VM_MCGRP_EVENTS		"events"

/**
 * enum splice_vm_a_session - A session. What has no value is absent.
 * @SPLICE_VM_A_SESSION_ID: u64. Number of the session. Higher ones were opened
 *	later; none is used again while the module is loaded.
 * @SPLICE_VM_A_SESSION_PAD: pad.
 * @SPLICE_VM_A_SESSION_OPENER_PID: u32. Process that opened the device. In a dump as
 *	the PID namespace of the reader numbers it, 0 where it is not visible there;
 *	in a notification as the initial namespace does.
 * @SPLICE_VM_A_SESSION_OPENER_UID: u32. User that opened the device. In a dump as the
 *	user namespace of the reader numbers it; in a notification as the initial
 *	namespace does.
 * @SPLICE_VM_A_SESSION_PID: u32. Process whose memory the session is attached to,
 *	numbered as opener-pid. 0 also when the kernel does not know (CONFIG_MEMCG is
 *	off). Absent before ATTACH.
 * @SPLICE_VM_A_SESSION_GONE: flag. The process has exited or called exec.
 * @SPLICE_VM_A_SESSION_MM_PAGES: u64. Pages of address space that are mapped. Absent
 *	before ATTACH and when gone.
 * @SPLICE_VM_A_SESSION_MM_RESIDENT: u64. Pages of it that are in memory. Absent
 *	before ATTACH and when gone.
 * @SPLICE_VM_A_SESSION_TRACKER: u32. The tracker in use.
 * @SPLICE_VM_A_SESSION_EPOCHS: u64. Epochs that ended since TRACK.
 * @SPLICE_VM_A_SESSION_PAGES_SENT: u64. Pages that SEND and splice passed on by
 *	reference.
 * @SPLICE_VM_A_SESSION_PAGES_COPIED: u64. Pages that read and pread copied.
 * @SPLICE_VM_A_SESSION_PAGES_DIRTY: u64. Pages that SCAN reported as DIRTY, each time
 *	anew.
 * @SPLICE_VM_A_SESSION_PAGES_DROPPED: u64. Pages that SCAN reported as DROPPED, each
 *	time anew.
 * @SPLICE_VM_A_SESSION_BYTES_SENT: u64. Bytes that SEND, with the heads of batches,
 *	and splice passed on.
 * @SPLICE_VM_A_SESSION_BYTES_COPIED: u64. Bytes that read and pread copied out of
 *	pages.
 * @SPLICE_VM_A_SESSION_PAGES_INFLIGHT: u64. Pages that calls of the session hold
 *	right now.
 * @SPLICE_VM_A_SESSION_MAX_INFLIGHT: u32. Cap of the session on pages in flight.
 *	Absent before ATTACH.
 * @SPLICE_VM_A_SESSION_OVERFLOWS: u64. Times that tracking gave up on detail and said
 *	that all is dirty.
 * @__SPLICE_VM_A_SESSION_MAX: No attribute.
 * @SPLICE_VM_A_SESSION_MAX: The last one.
 */
enum splice_vm_a_session {
	SPLICE_VM_A_SESSION_ID = 1,
	SPLICE_VM_A_SESSION_PAD,
	SPLICE_VM_A_SESSION_OPENER_PID,
	SPLICE_VM_A_SESSION_OPENER_UID,
	SPLICE_VM_A_SESSION_PID,
	SPLICE_VM_A_SESSION_GONE,
	SPLICE_VM_A_SESSION_MM_PAGES,
	SPLICE_VM_A_SESSION_MM_RESIDENT,
	SPLICE_VM_A_SESSION_TRACKER,
	SPLICE_VM_A_SESSION_EPOCHS,
	SPLICE_VM_A_SESSION_PAGES_SENT,
	SPLICE_VM_A_SESSION_PAGES_COPIED,
	SPLICE_VM_A_SESSION_PAGES_DIRTY,
	SPLICE_VM_A_SESSION_PAGES_DROPPED,
	SPLICE_VM_A_SESSION_BYTES_SENT,
	SPLICE_VM_A_SESSION_BYTES_COPIED,
	SPLICE_VM_A_SESSION_PAGES_INFLIGHT,
	SPLICE_VM_A_SESSION_MAX_INFLIGHT,
	SPLICE_VM_A_SESSION_OVERFLOWS,

	__SPLICE_VM_A_SESSION_MAX,
	SPLICE_VM_A_SESSION_MAX = (__SPLICE_VM_A_SESSION_MAX - 1)
};

/**
 * enum splice_vm_cmd - All have the attributes of a session.
 * @SPLICE_VM_CMD_SESSION_GET: Dump all sessions, in the order in which they were
 *	opened.
 * @SPLICE_VM_CMD_SESSION_NEW_NTF: A session was attached to a process.
 * @SPLICE_VM_CMD_EPOCH_NTF: One or more epochs of a session ended; epochs says how many
 *	in all. At most ten a second and session, so the count may jump.
 * @SPLICE_VM_CMD_TARGET_GONE_NTF: The process of a session has exited or called exec.
 *	The session is still open.
 * @SPLICE_VM_CMD_SESSION_DEL_NTF: A session that was attached is closed. These are its
 *	last numbers; nothing about it follows.
 * @__SPLICE_VM_CMD_MAX: No message.
 * @SPLICE_VM_CMD_MAX: The last one.
 */
enum splice_vm_cmd {
	SPLICE_VM_CMD_SESSION_GET = 1,
	SPLICE_VM_CMD_SESSION_NEW_NTF,
	SPLICE_VM_CMD_EPOCH_NTF,
	SPLICE_VM_CMD_TARGET_GONE_NTF,
	SPLICE_VM_CMD_SESSION_DEL_NTF,

	__SPLICE_VM_CMD_MAX,
	SPLICE_VM_CMD_MAX = (__SPLICE_VM_CMD_MAX - 1)
};

#endif /* _UAPI_LINUX_SPLICE_VM_NETLINK_H */
