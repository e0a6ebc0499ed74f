// SPDX-License-Identifier: GPL-2.0
/* Parts of Setup and RestoreGo: as they should be, or with a twist. */
#include <stdlib.h>
#include <sys/socket.h>
#include "mutate.h"

#define MANY	5000

/* All that frames name. */
void mutate_objects(Migrate__Setup *setup, enum twist twist)
{
	static Migrate__Object object, *list[3] = { &object, &object, &object };
	static char *const names[] = {
		NULL, "\033[2J", "/dev/shm/migrate-mutated", "/dev/shm/../run/migrate-mutated",
	};

	migrate__object__init(&object);
	object.id = OBJECT;
	object.kind = MIGRATE__OBJECT_KIND__MM;
	object.has_pid = true;
	object.pid = setup->pid;
	setup->objects = list;
	setup->n_objects = 1;
	if (twist != TWIST_OBJECTS)
		return;
	setup->n_objects = random_below(4);
	object.id = random_below(3);
	object.kind = random_below(4);
	object.pid += random_below(2);
	object.has_pid = random_below(2);
	object.name = names[random_below(4)];
	object.has_file = object.file = random_below(2);
	object.has_sealable = object.sealable = random_below(2);
	object.has_huge_kib = random_below(2);
	object.huge_kib = random_below(3) << 10;
}

/* One file, in a use that needs more than its size. */
void mutate_files(Migrate__Setup *setup, enum twist twist)
{
	static Migrate__MappedFile file, *list[] = { &file };
	static char *const paths[] = { "/dev/zero", "\033[2J/../\xff", "/bin/true", "/", "relative" };

	migrate__mapped_file__init(&file);
	file.path = paths[random_below(twist == TWIST_FILE_USE ? 5 : 2)];
	file.bytes = ~0UL;
	file.has_use = file.has_fd = file.has_mode = twist == TWIST_FILE_USE;
	file.use = random_below(9);
	file.fd = random_below(9) - 2;
	file.mode = random_below(~0U);
	file.has_any_size = file.any_size = file.has_use && random_below(2);
	setup->files = list;
	setup->n_files = twist == TWIST_FILE_PATH || twist == TWIST_FILE_USE;
}

/* Sockets of this machine's own: nobody may be connected to on a source's word. */
void mutate_sockets(Migrate__Setup *setup, enum twist twist)
{
	static Migrate__UnixServer server, *servers[MANY];
	static Migrate__InetAddress address, *addresses[MANY];
	static char *const names[] = { "/run/migrate-helper/serve.sock", "@", "", "@x\033y", "/dev/null", "x" };
	static char *const asked[] = {
		"ext-unix-sk", "external mnt[data]", "external mnt[\n]", "images-dir /x", "", "enable-fs all",
	};
	static char *options[MANY];
	static uint8_t bytes[16] = { 127, 0, 0, 1 };
	static __typeof__(address.address) kept[MANY];

	for (size_t i = 0; i < MANY; i++) {
		servers[i] = &server;
		addresses[i] = &address;
		options[i] = asked[random_below(6)];
	}
	setup->criu_options = options;
	setup->n_criu_options = twist != TWIST_OPTIONS ? 0 : random_below(2) ? random_below(9) : MANY;
	migrate__unix_server__init(&server);
	server.name = names[random_below(6)];
	server.type = random_below(2) ? SOCK_STREAM : random_below(~0U);
	server.fd = random_below(9) - 2;
	setup->unix_servers = servers;
	setup->n_unix_servers = twist != TWIST_SERVERS ? 0 : random_below(2) ? 2 : MANY;
	migrate__inet_address__init(&address);
	address.address.data = bytes;
	address.address.len = random_below(2) ? 4 : random_below(17);
	address.port = random_below(70000);
	address.stream = random_below(2);
	address.has_v6_only = address.v6_only = random_below(2);
	setup->addresses = addresses;
	setup->n_addresses = twist != TWIST_ADDRESSES ? 0 : random_below(2) ? 2 : MANY;
	/* serve is not told to take any: an address of this machine that is named stays as it is */
	for (size_t i = 0; i < MANY; i++)
		kept[i] = address.address;
	setup->kept_addresses = kept;
	setup->n_kept_addresses = setup->n_addresses && random_below(2) ? setup->n_addresses : 0;
	setup->has_keeps_tcp = setup->keeps_tcp = twist == TWIST_ADDRESSES && random_below(2);
}

/* Descriptors of the restored program that are no stream of the journal. */
void mutate_streams(Migrate__Process *process, enum twist twist)
{
	static Migrate__JournalStream stream, *list[] = { &stream, &stream };

	migrate__journal_stream__init(&stream);
	stream.fd = random_below(9) - 2;
	stream.header = random_below(2) ? "x\n\n6\n0\n0\n0\n0\n" : "";
	process->journal_streams = list;
	process->n_journal_streams = twist == TWIST_STREAMS ? 1 + random_below(2) : 0;
}

/* A thread that is not as CRIU restores it. */
static void thread(Migrate__ThreadAttributes *thread, int tid, Migrate__Scheduling *scheduling)
{
	static uint8_t cpus[] = { 1 };

	migrate__scheduling__init(scheduling);
	migrate__thread_attributes__init(thread);
	thread->tid = tid;
	thread->no_new_privs = true;
	thread->timer_slack_ns = 60000;
	thread->has_cpus = true;
	thread->cpus.data = cpus;
	thread->cpus.len = sizeof(cpus);
	thread->scheduling = scheduling;
}

/* Values that make no sense, or that the kernel of the destination may refuse. */
static void odd_thread(Migrate__ThreadAttributes *thread)
{
	static uint8_t cpus[1025];

	cpus[random_below(sizeof(cpus))] = random_below(256);
	thread->cpus.data = cpus;
	thread->cpus.len = random_below(3) ? random_below(2) : random_below(sizeof(cpus) + 1);
	thread->tid -= !random_below(4);
	thread->timer_slack_ns = random_below(2) ? 0 : ~0UL;
	thread->io_priority = random_below(~0U);
	thread->ambient = random_below(2) ? ~0UL : 1UL << random_below(64);
	thread->store_bypass = random_below(20);
	thread->indirect_branch = random_below(~0U);
	thread->io_flusher = random_below(2);
	thread->scheduling->policy = random_below(9);
	thread->scheduling->flags = random_below(2) ? 0 : random_below(~0U);
	thread->scheduling->nice = random_below(80) - 40;
	thread->scheduling->priority = random_below(200);
	thread->scheduling->runtime_ns = random_below(~0U);
	thread->scheduling->deadline_ns = random_below(2) ? ~0UL : random_below(~0U);
}

/* Of @process, which has its pid. */
void mutate_threads(Migrate__Process *process, enum twist twist)
{
	static Migrate__ThreadAttributes attributes, *list[] = { &attributes, &attributes };
	static Migrate__Scheduling scheduling;

	thread(&attributes, process->pid, &scheduling);
	if (twist == TWIST_ATTRIBUTES)
		odd_thread(&attributes);
	process->threads = list;
	process->n_threads = twist == TWIST_THREADS ? 2 * random_below(2) : 1;
}
