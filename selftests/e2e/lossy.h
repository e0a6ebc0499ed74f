/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of lossy have in common. */
#ifndef LOSSY_H
#define LOSSY_H

#include <err.h>

/** struct lossy_thing - @set makes it, with what stands behind "=" on the command line, or NULL */
struct lossy_thing {
	const char *name;
	void (*set)(const char *arg);
};

/* Each ends with one without a name. */
extern const struct lossy_thing lossy_files[], lossy_sockets[];

static inline void must(long ret, const char *what)
{
	if (ret < 0)
		err(1, "%s", what);
}

/** leave_parent() - go on in a child, while the parent keeps all that it has but @fd */
void leave_parent(int fd);
/** lossy_open_late() - the file of "late" */
void lossy_open_late(void);
/** lossy_add_server() - @fd gets each line of the program */
void lossy_add_server(int fd);
void lossy_tell_servers(const char *line);
/** lossy_serve_one() - accept one connection of "listener", and answer */
void lossy_serve_one(void);

#endif
