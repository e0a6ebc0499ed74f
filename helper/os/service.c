// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/text.h"
#include "os/service.h"

#define BUS_US		(5 * 1000 * 1000)
#define SCOPE_MS	5000
#define LOOK_MS		1
#define SCOPE_SUFFIX	".scope"
#define SERVICE_SUFFIX	".service"

static const char hint_bus[] = "install the package dbus, or start serve outside of a service";

static const char hint_log[] = "look at \"journalctl -b _PID=1\"";

static int check_mode(int fd, struct error *err)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	struct stat st;

	/* a socket of an abstract name has no mode: any user may connect */
	if (getsockname(fd, (void *)&addr, &len) || len <= sizeof(sa_family_t) || !*addr.sun_path ||
	    stat(addr.sun_path, &st))
		return error_set(err, CODE_NOT_READY, "ListenStream= wants an absolute path, or an address",
				 "the socket unit's socket has no path");
	if (st.st_uid != geteuid() || st.st_mode & (0077))
		return error_set(err, CODE_NOT_READY, "set SocketMode=0600 and no SocketUser= in the socket unit",
				 "others than root may connect to the socket unit's %.107s", addr.sun_path);
	return 0;
}

int service_socket(int *fd, struct error *err)
{
	int nr = sd_listen_fds(true);

	if (nr <= 0)
		return 0;
	*fd = SD_LISTEN_FDS_START;
	if (nr > 1)
		return error_set(err, CODE_USAGE, "one ListenStream= is served", "the socket unit has %d sockets", nr);
	if (sd_is_socket(*fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
		return error_set(err, CODE_USAGE, "use ListenStream= and Accept=no",
				 "the socket unit's socket does not listen for streams");
	if (sd_is_socket(*fd, AF_UNIX, SOCK_STREAM, 1) > 0 && check_mode(*fd, err))
		return -1;
	return 1;
}

void service_say(const char *state)
{
	sd_notify(false, state);
}

/* A service of the system; a user's own one ends with the user's session, as it should. */
static bool in_service(void)
{
	char *unit = NULL;
	size_t bytes = strlen(SERVICE_SUFFIX);
	bool is;

	if (sd_booted() <= 0 || sd_pid_get_unit(0, &unit) < 0)
		return false;
	is = strlen(unit) > bytes && !strcmp(unit + strlen(unit) - bytes, SERVICE_SUFFIX) &&
	     strncmp(unit, "user@", 5);
	free(unit);
	return is;
}

static sd_bus *open_bus(struct error *err)
{
	sd_bus *bus = NULL;
	int ret = sd_bus_open_system(&bus);

	if (ret >= 0) {
		sd_bus_set_method_call_timeout(bus, BUS_US);
		return bus;
	}
	errno = -ret;
	error_errno(err, CODE_NOT_READY, hint_bus,
		    "cannot ask systemd for a place outside of this service: no system bus");
	return NULL;
}

int service_check(struct error *err)
{
	sd_bus *bus;

	if (!in_service())
		return 0;
	bus = open_bus(err);
	sd_bus_flush_close_unref(bus);
	return bus ? 0 : -1;
}

/* A group of the program's own may be below the scope's, hence Delegate. The default of TasksMax is no limit of the source's. */
static int ask(sd_bus *bus, const char *unit, const char *description, struct error *err)
{
	sd_bus_error why = SD_BUS_ERROR_NULL;
	char said[TEXT_MAX];
	int ret;

	ret = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				 "org.freedesktop.systemd1.Manager", "StartTransientUnit", &why, NULL,
				 "ssa(sv)a(sa(sv))", unit, "fail", 6,
				 "Description", "s", description,
				 "Slice", "s", SERVICE_SLICE,
				 "PIDs", "au", 1, (uint32_t)getpid(),
				 "Delegate", "b", 1,
				 "TasksMax", "t", UINT64_MAX,
				 "CollectMode", "s", "inactive-or-failed",
				 0);
	text_printable(said, sizeof(said), why.message ? why.message : strerror(ret < 0 ? -ret : 0));
	if (ret < 0)
		error_set(err, CODE_NOT_READY, hint_log, "systemd makes no scope %s: %s", unit, said);
	sd_bus_error_free(&why);
	return ret < 0 ? -1 : 0;
}

static bool is_in(const char *unit)
{
	char *now = NULL;
	bool is = sd_pid_get_unit(0, &now) >= 0 && !strcmp(now, unit);

	free(now);
	return is;
}

/* systemd answers before it moves the process. */
static int wait_for(const char *unit, struct error *err)
{
	int64_t until = clock_now_ms() + SCOPE_MS;

	while (!is_in(unit)) {
		if (clock_now_ms() > until)
			return error_set(err, CODE_NOT_READY, hint_log,
					 "systemd did not move this migration to %s within %d ms", unit, SCOPE_MS);
		poll(NULL, 0, LOOK_MS);
	}
	return 0;
}

int service_leave(const char *name, const char *description, struct error *err)
{
	char unit[256];
	sd_bus *bus;
	int ret;

	if (!in_service())
		return 0;
	bus = open_bus(err);
	if (!bus)
		return -1;
	snprintf(unit, sizeof(unit), "%s" SCOPE_SUFFIX, name);
	ret = ask(bus, unit, description, err) || wait_for(unit, err) ? -1 : 1;
	sd_bus_flush_close_unref(bus);
	return ret;
}
