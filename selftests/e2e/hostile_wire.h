/* SPDX-License-Identifier: GPL-2.0 */
/* Connections to serve: their preambles, messages and frames, without the helper's own code. */
#ifndef HOSTILE_WIRE_H
#define HOSTILE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define BASE		0x400000000000UL
#define OBJECT		1	/* the name of its address space */
#define MAGIC_PAGES	0x53564d42	/* SPLICE_VM_BATCH_MAGIC */
#define MAGIC_POPULATED	0x53564d50
#define MAGIC_ROUND	0x53564d52
#define MAGIC_DROPPED	0x53564d44
#define MIB		(1UL << 20)

enum kind { CONTROL = 1, MEMORY, URGENT };
enum body { HELLO = 1, SETUP = 2, SETUP_REPLY = 3, MAPS = 4, ROUND_BEGIN = 5, FROZEN = 7, IMAGE_FILE = 9,
	    ABORT = 18, HEARTBEAT = 19 };

/** struct buf - of a message, or of a part of one */
struct buf {
	uint8_t data[2 << 20];
	size_t len;
};

/* Whom to call, as on the command line, and another address to call from, or NULL. */
extern const char *where, *from;

/* Protobuf, as far as it is needed: @field of a message. */
void put_number(struct buf *buf, int field, uint64_t value);
void put_bytes(struct buf *buf, int field, const void *data, size_t len);
void put_text(struct buf *buf, int field, const char *text);
/** put_vma() - readable and writable memory of no file */
void put_vma(struct buf *to, int field, uint64_t start, uint64_t end);
/** new_id() - of the migration, for the connections from now on */
void new_id(void);
/** connect_as() - a connection with its preamble; ends the process when it cannot be made */
int connect_as(enum kind kind);
void write_all(int fd, const void *data, size_t len);
void send_body(int fd, enum body body, const struct buf *inner);
/** next_body() - number of the next message that is no heartbeat; 0: the connection ended. Its text is said */
int next_body(int fd);
void send_hello(int fd, const char *host);
void send_setup(int fd, const char *comm, const char *flag);
void begin_round(int fd, uint32_t round);
void say_frozen(int fd);
void send_frame(int fd, uint32_t magic, uint32_t round, uint32_t nr_runs, uint64_t addr,
		uint32_t nr_pages);

#endif
