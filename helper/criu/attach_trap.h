/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A breakpoint in CRIU, in the C library's ptrace(). A tracer that stops CRIU at each system call stops it eleven times
 * for each thread that CRIU seizes: at the beginning and the end of five calls, and for a signal. With the breakpoint it
 * is five times. The breakpoint replaces the instruction before the system call, which says the number of the call: the
 * tracer does what that instruction does.
 */
#ifndef MIGRATE_CRIU_ATTACH_TRAP_H
#define MIGRATE_CRIU_ATTACH_TRAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/**
 * struct attach_trap - a breakpoint
 * @at: its address
 * @word: what was there
 * @set: it is there now
 */
struct attach_trap {
	uint64_t at;
	long word;
	bool set;
};

/**
 * attach_trap_set() - @criu has stopped
 * @behind: the instruction behind that of the system call
 *
 * Return: false, and nothing is changed, where the C library is written in another way
 */
bool attach_trap_set(struct attach_trap *trap, pid_t criu, uint64_t behind);
/** attach_trap_clear() - @criu has stopped, or is dead; nothing for a breakpoint that is not set */
void attach_trap_clear(struct attach_trap *trap, pid_t criu);

/** attach_trap_is_hit() - a stop by SIGTRAP with these registers is that of the breakpoint */
bool attach_trap_is_hit(const struct attach_trap *trap, const struct user_regs_struct *regs);
/** attach_trap_pass() - change @regs such that CRIU goes on with the system call */
void attach_trap_pass(const struct attach_trap *trap, struct user_regs_struct *regs);

#endif
