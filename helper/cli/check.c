// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "backend/backend.h"
#include "backend/svm.h"
#include "base/report.h"
#include "cli/check.h"
#include "cli/options.h"
#include "criu/criu.h"
#include "os/cgroup.h"
#include "os/memfs.h"
#include "os/pagemap.h"
#include "os/proc.h"
#include "pages/page_set.h"

#define MEMORY_WANTED		(256UL << 20)
#define IMAGES_WANTED		(64UL << 20)

/**
 * struct check - one line of the answer
 * @slower: not ok, but a migration works without it, more slowly
 * @help: the command that repairs it
 */
struct check {
	bool ok, slower;
	char text[256];
	const char *help;
};

static void say(struct check *check, bool ok, const char *help, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct check *check, bool ok, const char *help, const char *fmt, ...)
{
	va_list args;

	check->ok = ok;
	check->help = ok ? NULL : help;
	va_start(args, fmt);
	vsnprintf(check->text, sizeof(check->text), fmt, args);
	va_end(args);
}

static bool has_capability(unsigned int capability)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t effective = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %" SCNx64, &effective) == 1)
			break;
	if (file)
		fclose(file);
	return effective >> capability & 1;
}

static void check_rights(struct check *check)
{
	bool root = !geteuid(), ptrace = has_capability(CAP_SYS_PTRACE);

	say(check, root && ptrace && has_capability(CAP_SYS_ADMIN),
	    "sudo migrate-helper check", "%s, %s CAP_SYS_PTRACE, %s CAP_SYS_ADMIN",
	    root ? "root" : "not root", ptrace ? "with" : "without",
	    has_capability(CAP_SYS_ADMIN) ? "with" : "without");
}

static void check_module(struct check *check)
{
	struct splice_vm_info info = { 0 };
	char why[96];

	if (module_can(why, sizeof(why)) && !svm_probe(&info, &(struct error){ 0 }))
		say(check, true, NULL, "features 0x%llx, trackers 0x%llx, %u pages in flight",
		    info.features, info.trackers, info.max_inflight_pages);
	else
		say(check, false, module_is_there() ? "rmmod splice_vm; modprobe splice_vm" :
		    "modprobe splice_vm", "%s: where programs leave from each page is copied", why);
	check->slower = !check->ok;
}

/* Looks at a page: a kernel may have the option on an architecture without soft-dirty bits. */
static void check_soft_dirty(struct check *check)
{
	bool told = pagemap_tells_writes();

	say(check, told, "apt install linux-image-amd64", told ? "written pages are told" :
	    "this kernel does not tell written pages (CONFIG_MEM_SOFT_DIRTY): no rounds, post-copy alone");
	check->slower = !told;
}

static void check_uffd(struct check *check)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
			    UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	bool ok = fd >= 0 && !ioctl(fd, UFFDIO_API, &api);

	if (fd >= 0)
		close(fd);
	say(check, ok, "sysctl vm.unprivileged_userfaultfd=1",
	    ok ? "with the events of fork, remap, unmap and remove" :
	    fd < 0 ? "this kernel or user has no userfaultfd" : "it cannot tell all events");
}

static void check_criu(struct check *check)
{
	struct criu_version version;
	struct error err = { 0 };

	if (criu_version_get(&version, &err))
		say(check, false, "apt install criu", "%.250s", err.what);
	/* the line for soft-dirty bits covers mem_track, which only a dump needs */
	else if (criu_check_restore(&err))
		say(check, false, "criu check", "version %d.%d.%d: %.200s", version.major,
		    version.minor, version.sublevel, err.what);
	else
		say(check, true, NULL, "version %d.%d.%d", version.major, version.minor,
		    version.sublevel);
}

static void check_freezer(struct check *check)
{
	struct cgroup group;
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-check-%d", getpid());
	if (cgroup_plan(&group, 0, CGROUP_TOP, name))
		say(check, false, "mount -t cgroup2 none /sys/fs/cgroup",
		    "no control group can be made, neither v2 nor with the freezer of v1");
	else
		say(check, true, NULL, "%s freezer", group.kind == CGROUP_V2 ? "cgroup v2" :
		    "cgroup v1");
}

static void check_images(struct check *check)
{
	const char *base = !strncmp(memfs_base(), "/run/", 5) ? "/run" : "/dev/shm";
	struct statfs fs = { 0 };
	uint64_t bytes;

	if (!memfs_holds(base) || statfs(base, &fs)) {
		say(check, false, "mount -t tmpfs none /run", "neither /run nor /dev/shm is on tmpfs");
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_bsize;
	say(check, bytes >= IMAGES_WANTED, "mount -o remount,size=512M /run",
	    "%s is on tmpfs, %lu MiB free", base, bytes >> 20);
}

static void check_memory(struct check *check)
{
	uint64_t bytes = proc_mem_available();

	say(check, bytes >= MEMORY_WANTED, "free some memory", "%lu MiB available", bytes >> 20);
}

/* The machines that need the checked feature. */
enum { SOURCE = 1, DEST = 2, BOTH = SOURCE | DEST };

static const struct {
	const char *name;
	void (*run)(struct check *check);
	int roles;
} checks[] = {
	{ "rights", check_rights, BOTH },
	{ "module", check_module, SOURCE },
	{ "soft-dirty", check_soft_dirty, SOURCE },
	{ "userfaultfd", check_uffd, DEST },
	{ "criu", check_criu, BOTH },
	{ "freezer", check_freezer, SOURCE },
	{ "images", check_images, BOTH },
	{ "memory", check_memory, DEST },
};

/** struct check_options - @source, @dest: the roles to check; both when none is given */
struct check_options {
	bool json, source, dest;
};

static const struct cli_option options[] = {
	{ "source", .text = "programs leave from here: nothing else is looked at",
	  .flag = offsetof(struct check_options, source) },
	{ "dest", .text = "programs arrive here: nothing else is looked at",
	  .flag = offsetof(struct check_options, dest) },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct check_options, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"check", "[OPTION]...", "Say whether this machine is ready, and what helps if not.", options,
};

int check_main(int argc, char **argv)
{
	struct check_options opts = { 0 };
	int code = options_parse(&verb, argc, argv, &opts);
	int roles = opts.source || opts.dest ? opts.source * SOURCE | opts.dest * DEST : BOTH;
	struct utsname uts;
	size_t missing = 0;

	if (code >= 0)
		return code;
	report_init(opts.json);
	uname(&uts);
	report_event("machine", json_pack("{s:s,s:s}", "kernel", uts.release, "arch", uts.machine));
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct check check = { 0 };

		if (!(checks[i].roles & roles))
			continue;
		checks[i].run(&check);
		report_event("check", json_pack("{s:s,s:b,s:b,s:s,s:s}", "name",
						checks[i].name, "ok", check.ok, "needed",
						!check.slower, "text", check.text,
						"help", check.help ?: ""));
		report_print("%-12s %-8s %s\n", checks[i].name, check.ok ? "ok" :
			     check.slower ? "SLOWER" : "MISSING",
			     check.text);
		if (!check.ok)
			report_print("%-12s          try: %s\n", "", check.help);
		missing += !check.ok && !check.slower;
	}
	code = missing ? CODE_NOT_READY : CODE_OK;
	report_event("result", json_pack("{s:i,s:i}", "exit", code, "missing", (int)missing));
	return code;
}
