// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "criu/attach_trap.h"

#define INT3	0xcc

/* mov $SYS_ptrace, %eax; syscall */
static const uint8_t call[] = { 0xb8, SYS_ptrace, 0, 0, 0, 0x0f, 0x05 };

#define NUMBER_BYTES	5	/* of the first instruction */

bool attach_trap_set(struct attach_trap *trap, pid_t criu, uint64_t behind)
{
	uint64_t at = behind - sizeof(call);
	uint8_t bytes[sizeof(long)];
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, criu, (void *)at, NULL);
	memcpy(bytes, &word, sizeof(bytes));
	if (errno || memcmp(bytes, call, sizeof(call)))
		return false;
	trap->at = at;
	trap->word = word;
	bytes[0] = INT3;
	memcpy(&word, bytes, sizeof(word));
	trap->set = !ptrace(PTRACE_POKETEXT, criu, (void *)at, (void *)word);
	return trap->set;
}

void attach_trap_clear(struct attach_trap *trap, pid_t criu)
{
	if (trap->set)
		ptrace(PTRACE_POKETEXT, criu, (void *)trap->at, (void *)trap->word);
	trap->set = false;
}

bool attach_trap_is_hit(const struct attach_trap *trap, const struct user_regs_struct *regs)
{
	/* also when it is not set any more: another stop may have come before this one */
	return trap->at && regs->rip == trap->at + 1;
}

void attach_trap_pass(const struct attach_trap *trap, struct user_regs_struct *regs)
{
	regs->rax = SYS_ptrace;
	regs->rip = trap->at + NUMBER_BYTES;
}
