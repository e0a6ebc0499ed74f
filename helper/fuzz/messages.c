// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include "base/page.h"
#include "base/text.h"
#include "fuzz/messages.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define INPUT_MAX	32	/* most messages of an input */
#define MESSAGE_MAX	1024

#define BODY(name)	MIGRATE__CONTROL__BODY_##name

void messages_setup_fill(struct messages_setup *to)
{
	static struct utsname uts;

	uname(&uts);
	for (int i = 0; i < 2; i++) {
		migrate__vma__init(&to->vma[i]);
		to->vma[i].start = AT(200 * i);
		to->vma[i].end = AT(200 * i + 100);
		to->vma[i].prot = PROT_READ | PROT_WRITE;
		to->vma[i].anon = true;
		to->vma[i].ours = !i;
		to->vma[i].shared = i;
		to->vmas[i] = &to->vma[i];
	}
	migrate__object__init(&to->object);
	to->object.id = 1;
	to->object.kind = MIGRATE__OBJECT_KIND__MM;
	to->object.has_pid = true;
	to->object.pid = MESSAGES_PID;
	to->objects = &to->object;
	migrate__mapped_file__init(&to->file);
	to->file.path = "/bin/true";
	to->file.bytes = 1;
	to->files = &to->file;
	migrate__criu_version__init(&to->criu);
	to->criu.major = 3;
	to->criu.minor = 17;
	to->flag = "fpu";
	migrate__setup__init(&to->setup);
	to->setup.pid = MESSAGES_PID;
	to->setup.comm = "prog";
	to->setup.threads = 1;
	to->setup.vmas = to->vmas;
	to->setup.n_vmas = 2;
	to->setup.objects = &to->objects;
	to->setup.n_objects = 1;
	to->setup.files = &to->files;
	to->setup.n_files = 1;
	to->setup.rss_bytes = 1 << 20;
	to->setup.criu = &to->criu;
	to->setup.kernel = "6.1.0";
	to->setup.arch = uts.machine;
	to->setup.cpu_flags = &to->flag;
	to->setup.n_cpu_flags = 1;
	to->setup.mode = "auto";
	to->setup.max_frozen_s = 60;
}

void messages_go_fill(struct messages_go *to)
{
	migrate__scheduling__init(&to->scheduling);
	migrate__thread_attributes__init(&to->thread);
	to->thread.tid = MESSAGES_PID;
	to->thread.timer_slack_ns = 50000;
	to->thread.ambient = 1 << 10;
	to->thread.store_bypass = 4;
	to->thread.has_cpus = true;
	to->thread.cpus.data = (uint8_t *)"\17";
	to->thread.cpus.len = 1;
	to->thread.scheduling = &to->scheduling;
	to->threads = &to->thread;
	migrate__restore_go__init(&to->go);
	to->go.threads = &to->threads;
	to->go.n_threads = 1;
	to->go.has_coredump_filter = true;
	to->go.coredump_filter = 0x33;
}

/* A message of numbers alone, all 0, or of nothing. */
static void fill_empty(Migrate__Control *msg, Migrate__Done *room)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&migrate__control__descriptor,
							msg->body_case);
	const ProtobufCMessageDescriptor *type = field->descriptor;

	fuzz_assert(type->sizeof_message <= sizeof(*room));
	protobuf_c_message_init(type, room);
	msg->done = room;
}

/* Calls @use with a valid message of this body. */
static void with_message(Migrate__Control__BodyCase body,
			 void (*use)(void *ctx, const Migrate__Control *msg), void *ctx)
{
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	Migrate__SetupReply reply = MIGRATE__SETUP_REPLY__INIT;
	Migrate__Announce announce = MIGRATE__ANNOUNCE__INIT;
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct messages_setup setup;
	struct messages_go go;
	Migrate__Done empty;

	messages_setup_fill(&setup);
	messages_go_fill(&go);
	hello.version = PROTOCOL_VERSION;
	hello.software = hello.hostname = "other";
	reply.ok = true;
	announce.memory_bytes = announce.image_bytes = 1 << 20;
	frozen.criu = &setup.criu;
	msg.body_case = body;
	if (body == BODY(HELLO))
		msg.hello = &hello;
	else if (body == BODY(SETUP))
		msg.setup = &setup.setup;
	else if (body == BODY(SETUP_REPLY))
		msg.setup_reply = &reply;
	else if (body == BODY(ANNOUNCE))
		msg.announce = &announce;
	else if (body == BODY(FROZEN))
		msg.frozen = &frozen;
	else if (body == BODY(RESTORE_GO))
		msg.restore_go = &go.go;
	else
		fill_empty(&msg, &empty);
	use(ctx, &msg);
}

static void put_stream(void *ctx, const Migrate__Control *msg)
{
	uint32_t length = htole32(migrate__control__get_packed_size(msg));
	uint8_t packed[MESSAGE_MAX];

	fuzz_assert(migrate__control__get_packed_size(msg) <= sizeof(packed));
	fuzz_pipe_put(ctx, &length, sizeof(length));
	fuzz_pipe_put(ctx, packed, migrate__control__pack(msg, packed));
}

void messages_put_course(struct fuzz_pipe *pipe, enum course_side from, unsigned int nr)
{
	static const Migrate__Control__BodyCase source[] = {
		BODY(HELLO), BODY(SETUP), BODY(ANNOUNCE), BODY(FROZEN), BODY(RESTORE_GO),
		BODY(COMMIT),
	}, dest[] = {
		BODY(HELLO), BODY(SETUP_REPLY), BODY(FINAL_ACK), BODY(READY), BODY(STARTED),
		BODY(DONE),
	};
	const Migrate__Control__BodyCase *all = from == COURSE_SOURCE ? source : dest;
	size_t most = from == COURSE_SOURCE ? sizeof(source) : sizeof(dest);

	for (size_t i = 0; i < nr && i < most / sizeof(*all); i++)
		with_message(all[i], put_stream, pipe);
}

void messages_put_input(struct fuzz_pipe *pipe, struct fuzz_input *in, bool raw)
{
	if (raw)
		fuzz_pipe_put(pipe, in->data, in->size);
	for (int i = 0; !raw && i < INPUT_MAX && in->size; i++) {
		struct fuzz_input msg = fuzz_chunk(in);
		uint32_t length = htole32(msg.size);

		fuzz_pipe_put(pipe, &length, sizeof(length));
		fuzz_pipe_put(pipe, msg.data, msg.size);
	}
	/* what the helper's side says has a place all the same */
	shutdown(pipe->far, SHUT_WR);
}

static void send_it(void *ctx, const Migrate__Control *msg)
{
	struct error err = { 0 };

	fuzz_assert(!control_send(ctx, msg, &err));
}

void messages_send(struct control *ctl, Migrate__Control__BodyCase body)
{
	with_message(body, send_it, ctl);
}

void messages_assert_printable(const char *text)
{
	char again[4 * TEXT_MAX];

	text_printable(again, sizeof(again), text);
	fuzz_assert(!strcmp(again, text));
}
