/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_BASE_ERROR_H
#define MIGRATE_BASE_ERROR_H

#include <stdbool.h>

/**
 * enum exit_code - exit status of migrate-helper, documented in its man page
 * @CODE_OK: all done
 * @CODE_USAGE: the command line is wrong
 * @CODE_NOT_READY: this machine lacks something (module, CRIU, rights)
 * @CODE_REFUSED: the target has an object that a move does not carry
 * @CODE_PEER: the other side refused or gave up
 * @CODE_NETWORK: connection failed or was lost
 * @CODE_CRIU: dump or restore failed
 * @CODE_TARGET: the target exited, called exec or changed under us
 * @CODE_ABORTED: a signal or a limit ended the migration
 * @CODE_VERIFY: memory on both sides differs
 * @CODE_DOUBT: COMMIT was recorded, but its outcome is not known; the source's copy stays stopped
 * @CODE_LOST: the program has moved, but for memory that was lost at the source after COMMIT
 * @CODE_INTERNAL: a bug or an operating system failure
 */
enum exit_code {
	CODE_OK = 0,
	CODE_USAGE = 2,
	CODE_NOT_READY = 3,
	CODE_REFUSED = 4,
	CODE_PEER = 5,
	CODE_NETWORK = 6,
	CODE_CRIU = 7,
	CODE_TARGET = 8,
	CODE_ABORTED = 9,
	CODE_VERIFY = 10,
	CODE_DOUBT = 11,
	CODE_LOST = 12,
	CODE_INTERNAL = 70,
};

/**
 * struct error - what happened, to which object, and what to do
 * @code: enum exit_code; CODE_OK while nothing is set
 * @os_errno: errno of the failed system call, or 0
 * @what: what happened to which object, without a final stop
 * @hint: what the user can do; empty when there is nothing
 *
 * error_set() keeps the first error: later errors are its consequences.
 */
struct error {
	enum exit_code code;
	int os_errno;
	char what[384];
	char hint[256];
};

/**
 * error_set() - record a failure that is not one of a system call
 * @err: filled unless it is already set
 * @code: class of the failure
 * @hint: what to do, or NULL
 * @fmt: what happened, to which object
 * Return: always -1, so that callers can return error_set(...)
 */
int error_set(struct error *err, enum exit_code code, const char *hint,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * error_errno() - error_set() for a failed system call; appends strerror(errno) to @fmt's text
 * Return: always -1
 */
int error_errno(struct error *err, enum exit_code code, const char *hint,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static inline bool error_is_set(const struct error *err)
{
	return err->code != CODE_OK;
}

/** error_code_name() - stable name of a class for JSON, as "network" */
const char *error_code_name(enum exit_code code);

#endif
