/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A supervisor starts a program again when it ends. The move ends the program at the source by
 * SIGKILL, so that a supervisor would make a second copy of it.
 */
#ifndef MIGRATE_SOURCE_SUPERVISOR_H
#define MIGRATE_SOURCE_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

#define UNIT_BYTES	256	/* longest name of a unit, with its final 0 */

/**
 * struct parent_facts - what /proc tells of a program and of its parent
 * @pid, @comm, @dir: of the parent: its name, and its working directory, "" when it cannot be read
 * @cgroups: /proc/PID/cgroup of the program
 */
struct parent_facts {
	pid_t pid;
	char comm[32];
	char dir[96];
	char cgroups[2048];
};

/**
 * struct supervisor - one that was found
 * @name: of its kind, as "runit"
 * @unit: of systemd, else ""
 * @user: the unit is of a user's systemd
 * @when: as "before the move": @advice helps then
 * @advice: a command that keeps the supervisor from starting the program again, or ends the second copy
 */
struct supervisor {
	const char *name;
	char unit[UNIT_BYTES];
	bool user;
	const char *when;
	char advice[UNIT_BYTES + 96];
};

/** supervisor_read() - false when the parent has no name that can be read */
bool supervisor_read(pid_t pid, pid_t parent, struct parent_facts *facts);

/** supervisor_match() - is the parent a supervisor? */
bool supervisor_match(const struct parent_facts *facts, struct supervisor *found);

/**
 * supervisor_restarts() - does systemd start a unit again that ended by SIGKILL?
 * @restart: the unit's property Restart; an unknown word counts as yes
 */
bool supervisor_restarts(const char *restart);

/** supervisor_ask() - the property Restart of a unit, as systemctl says; false: it says nothing */
bool supervisor_ask(const struct supervisor *supervisor, char *restart, size_t size);

#endif
