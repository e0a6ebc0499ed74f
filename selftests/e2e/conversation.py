#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What both ends of a migration say on each connection: recorded, and one end played to the other one as it is now.

  conversation.py record PORT TO FILE NOTE  between migrate, which connects to PORT, and serve at port TO; NOTE: words for replays
  conversation.py note FILE                 the words of the recording
  conversation.py version FILE              the protocol's version in it
  conversation.py source PORT FILE [HELLO [PREAMBLE]]
                                            play the source to serve at PORT, with another version in Hello, or in the preamble.
                                            Prints each message of serve that the recording has too
  conversation.py dest PORT FILE [HELLO]    play the destination to migrate, which connects to PORT, up to the answer to Setup

FILE: a line of text, then for each piece a line "CONNECTION SIDE BYTES" and the bytes, in the order in which the pieces came;
all of it compressed by gzip. CONNECTION: 1 control, 2 memory, 3 urgent; SIDE: s or d.
"""
import select
import socket
import struct
import sys
import time
import zlib

CONTROL = 1
HELLO, SETUP_REPLY, FINAL_ACK, ABORT, HEARTBEAT = 1, 3, 8, 18, 19
NAMES = {HELLO: "Hello", SETUP_REPLY: "SetupReply", 6: "RoundAck", FINAL_ACK: "FinalAck", 13: "Ready", 15: "Started", 16: "Done",
         ABORT: "Abort", HEARTBEAT: "Heartbeat", 37: "Attributes", 52: "NeedsReply"}
RESTORED = (13, 15, 16, 37)
WAIT_S = 20
GZIP = 31


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    """Number and value of each field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 2:
            size, at = varint(data, at)
            yield tag >> 3, data[at:at + size]
            at += size
        elif tag & 7 == 0:
            value, at = varint(data, at)
            yield tag >> 3, value
        else:
            sys.exit("a field of type %d" % (tag & 7))


class Messages:
    """Control messages out of the pieces of a stream."""
    def __init__(self):
        self.data = b""

    def take(self, piece):
        self.data += piece
        while len(self.data) >= 4:
            size = struct.unpack("<I", self.data[:4])[0]
            if len(self.data) < 4 + size:
                return
            message, self.data = self.data[4:4 + size], self.data[4 + size:]
            yield next(fields(message))


def hang_up(end):
    try:
        end.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def record(port, to, path, note):
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    other, about, open_ends = {}, {}, 6
    said = note.encode() + b"\n"
    while open_ends:
        for end in select.select([listener] + list(other), [], [])[0]:
            if end is listener:
                source = end.accept()[0]
                dest = socket.create_connection(("127.0.0.1", int(to)))
                other.update({source: dest, dest: source})
                continue
            data = end.recv(1 << 20)
            if not data:
                hang_up(other.pop(end))
                open_ends -= 1
                continue
            if end not in about:
                about[end], about[other[end]] = (data[6], "s"), (data[6], "d")
            said += b"%d %s %d\n" % (about[end][0], about[end][1].encode(), len(data)) + data
            other[end].sendall(data)
    pack = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    with open(path, "wb") as file:
        file.write(pack.compress(said) + pack.flush())


def read(path):
    """The note, and the pieces."""
    with open(path, "rb") as file:
        note, rest = zlib.decompress(file.read(), GZIP).split(b"\n", 1)
    found = []
    while rest:
        line, rest = rest.split(b"\n", 1)
        kind, side, size = line.split()
        found.append((int(kind), side.decode(), rest[:int(size)]))
        rest = rest[int(size):]
    return note.decode(), found


def pieces(path):
    return read(path)[1]


def hello_with(piece, version):
    """The piece begins with Hello, whose first field is the version."""
    size = struct.unpack("<I", piece[:4])[0]
    outer, at = varint(piece, 5)
    assert piece[4] == HELLO << 3 | 2 and piece[at] == 1 << 3 and outer + at == 4 + size
    return piece[:at + 1] + bytes([version]) + piece[at + 2:]


def await_message(conn, queue, want):
    """Return: the body, or None after an Abort or the end."""
    until = time.time() + WAIT_S
    while True:
        while queue["list"]:
            kind, body = queue["list"].pop(0)
            if kind == HEARTBEAT:
                continue
            if kind in (want, ABORT):
                return kind, body
            print("%s instead of %s" % (NAMES.get(kind, kind), NAMES.get(want, want)))
        if time.time() > until or not select.select([conn], [], [], max(0, until - time.time()))[0]:
            print("no %s" % NAMES.get(want, want))
            return None, None
        try:
            data = conn.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            print("closed")
            return None, None
        queue["list"] += queue["in"].take(data)


def say(kind, body):
    values = list(fields(body))
    if kind == HELLO:
        print("Hello version %d" % dict(values)[1], flush=True)
    elif kind == SETUP_REPLY:
        print("SetupReply", "ok" if dict(values)[1] else "refused: " + "; ".join(
            v.decode() for n, v in values if n == 2), flush=True)
    elif kind == ABORT:
        print("Abort: %s" % b" ".join(v for n, v in values if isinstance(v, bytes)).decode(), flush=True)
    else:
        print(NAMES.get(kind, kind), flush=True)


def play_source(port, path, hello=None, preamble=None):
    conns, recorded, queue = {}, Messages(), {"list": [], "in": Messages()}
    for kind, side, piece in pieces(path):
        if side == "d":
            if kind != CONTROL:
                continue
            for want, _ in recorded.take(piece):
                if want == HEARTBEAT:
                    continue
                # what the restore says depends on the machine
                if want in RESTORED:
                    time.sleep(2)
                    return
                got, body = await_message(conns[CONTROL], queue, want)
                if got is None:
                    return
                say(got, body)
                if got == ABORT:
                    return
            continue
        if kind not in conns:
            conns[kind] = socket.create_connection(("127.0.0.1", int(port)))
            if preamble:
                piece = piece[:4] + struct.pack("<H", int(preamble)) + piece[6:]
            if kind == CONTROL and hello:
                piece = piece[:32] + (hello_with(piece[32:], int(hello)) if piece[32:] else b"")
        elif kind == CONTROL and hello and piece[4] == HELLO << 3 | 2:
            piece = hello_with(piece, int(hello))
        try:
            conns[kind].sendall(piece)
        except ConnectionError:
            print("closed")
            return


def play_dest(port, path, hello=None):
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    control, others, seen = listener.accept()[0], [], Messages()
    control.recv(32, socket.MSG_WAITALL)
    for kind, side, piece in pieces(path):
        if kind != CONTROL or side != "d":
            continue
        replies = [k for k, _ in seen.take(piece)]
        if SETUP_REPLY in replies:
            # a source that has refused what it heard makes no others
            listener.settimeout(5)
            others = [listener.accept()[0] for _ in range(2)]
            # Setup is there, or the answer would come too early
            time.sleep(2)
        control.sendall(hello_with(piece, int(hello)) if hello and HELLO in replies else piece)
        if SETUP_REPLY in replies or (hello and HELLO in replies):
            time.sleep(2)
            break
    for conn in [control] + others:
        conn.close()


def main():
    verb, args = sys.argv[1], sys.argv[2:]
    if verb == "version":
        seen = Messages()
        for kind, side, piece in pieces(args[0]):
            if kind == CONTROL and side == "d":
                for got, body in seen.take(piece):
                    print(dict(fields(body))[1])
                    return
    elif verb == "note":
        print(read(args[0])[0])
    else:
        {"record": record, "source": play_source, "dest": play_dest}[verb](*args)


main()
