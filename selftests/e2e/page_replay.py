#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a dump of CRIU sends to a page server: recorded, sent again; and images compared.

  page_replay.py record PORT TO FILE   between one sender at PORT and the server at port TO: what the sender says
                 [N PID]               after N bytes it kills the process PID, the server, unless it is 0; and hangs up
  page_replay.py send PORT FILE [N]    say it to a server, or only N bytes. Prints what was answered, as hex
  page_replay.py widen FROM TO         from the form up to CRIU 4.1 to that of CRIU 4.2 and later
  page_replay.py form FILE             the length of a command: 24 or 32
  page_replay.py compare DIR DIR       whether the pagemaps of both list the same pages with the same content;
                                       prints how many pagemaps, pages, and pages in the parent there are
  page_replay.py memory DIR PID        whether the pages of process PID in DIR are those of its memory; prints how many
"""
import hashlib
import os
import re
import select
import signal
import socket
import struct
import sys

PAGE = 4096
ADD, HOLE, OPEN, OPEN2, PARENT_ASKED, ADD_F = 1, 2, 3, 4, 5, 6
PARENT, LAZY, PRESENT = 1, 2, 4
COMMON, PAGEMAP = 0x54564319, 0x56084025


def record(port, to, path, limit=None, pid=None):
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    sender = listener.accept()[0]
    server = socket.create_connection(("127.0.0.1", int(to)))
    with open(path, "wb") as file:
        other = {sender: server, server: sender}
        while other:
            for end in select.select(list(other), [], [])[0]:
                data = end.recv(1 << 16)
                if not data:
                    other.pop(end).shutdown(socket.SHUT_WR)
                    continue
                other[end].sendall(data)
                if end is sender:
                    file.write(data)
                    if limit and file.tell() >= int(limit):
                        if int(pid):
                            os.kill(int(pid), signal.SIGKILL)
                        return


def send(port, path, limit=None):
    with open(path, "rb") as file:
        data = file.read()
    sock = socket.create_connection(("127.0.0.1", int(port)))
    answer = b""
    try:
        sock.sendall(data[:int(limit)] if limit else data)
        if not limit:
            # CLOSE is the last command, and its answer the last four bytes; the server waits for our end
            expected = sum(4 if cmd in (0x1023, 0x1024, PARENT_ASKED) else cmd == OPEN2
                           for cmd, *_ in commands(data))
            while len(answer) < expected:
                part = sock.recv(64)
                if not part:
                    break
                answer += part
    except ConnectionError:
        pass
    sock.close()
    print(answer.hex())


def header_bytes(data):
    return 24 if struct.unpack_from("<Q", data, 16)[0] else 32


def commands(data):
    """(id, flags, pages, address, target, payload) of each command"""
    at, size = 0, header_bytes(data)
    while at < len(data):
        if size == 24:
            cmd, pages, addr, target = struct.unpack_from("<IIQQ", data, at)
        else:
            cmd, _, pages, addr, target = struct.unpack_from("<IIQQQ", data, at)
        at += size
        ident, flags = cmd & 0xffff, cmd >> 16
        payload = pages * PAGE if ident == ADD or (ident == ADD_F and flags & PRESENT) else 0
        yield ident, flags, pages, addr, target, data[at:at + payload]
        at += payload


def form(path):
    with open(path, "rb") as file:
        print(header_bytes(file.read(32)))


def widen(source, target):
    with open(source, "rb") as file, open(target, "wb") as out:
        for ident, flags, pages, addr, ident_of, payload in commands(file.read()):
            out.write(struct.pack("<IIQQQ", flags << 16 | ident, 0, pages, addr, ident_of))
            out.write(payload)


def fields(record_bytes):
    """{number: integer} of a message that has nothing else"""
    found, numbers = {}, iter(record_bytes)

    def varint(first):
        value, shift = first & 0x7f, 7
        while first & 0x80:
            first = next(numbers)
            value |= (first & 0x7f) << shift
            shift += 7
        return value

    for byte in numbers:
        key = varint(byte)
        assert key & 7 == 0, "a field that is no integer"
        found[key >> 3] = varint(next(numbers))
    return found


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    assert struct.unpack_from("<II", data) == (COMMON, PAGEMAP), f"{path} is no pagemap"
    at = 8
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        assert at + 4 + size <= len(data), f"{path} is cut short"
        yield fields(data[at + 4:at + 4 + size])
        at += 4 + size


def images(folder):
    """{name: [(address, pages, flags, digest of the content)]}"""
    found = {}
    for name in sorted(os.listdir(folder)):
        if not re.fullmatch(r"pagemap-.*\.img", name):
            continue
        head, *entries = records(f"{folder}/{name}")
        listed = found.setdefault(name, [])
        with open(f"{folder}/pages-{head[1]}.img", "rb") as pages:
            for entry in entries:
                number = entry.get(5) or entry[2]
                flags = entry.get(4, 0) | (PARENT if entry.get(3) else 0)
                content = pages.read(number * PAGE) if flags & PRESENT else b""
                assert not flags & PRESENT or len(content) == number * PAGE, f"{name}: pages are missing"
                listed.append((entry[1], number, flags, hashlib.sha256(content).hexdigest()))
            assert not pages.read(1), f"{name}: there are pages that no entry lists"
    return found


def compare(one, other):
    mine, theirs = images(one), images(other)
    assert mine.keys() == theirs.keys(), f"{sorted(mine)} and {sorted(theirs)}"
    for name in mine:
        assert mine[name] == theirs[name], f"{name} differs"
    entries = [entry for name in mine for entry in mine[name]]
    print(len(mine), sum(e[1] for e in entries if e[2] & PRESENT),
          sum(e[1] for e in entries if e[2] & PARENT))


def memory(folder, pid):
    head, *entries = records(f"{folder}/pagemap-{pid}.img")
    number = 0
    # Unbuffered: what is read of a task gets into its page table, and into the next dump.
    with open(f"{folder}/pages-{head[1]}.img", "rb") as pages, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for entry in entries:
            if not entry.get(4, 0) & PRESENT:
                continue
            nr = entry.get(5) or entry[2]
            mem.seek(entry[1])
            assert pages.read(nr * PAGE) == mem.read(nr * PAGE), f"{nr} pages at {entry[1]:#x} differ"
            number += nr
        assert not pages.read(1), "there are pages that no entry lists"
    print(number)


if __name__ == "__main__":
    {"record": record, "send": send, "form": form, "widen": widen, "compare": compare,
     "memory": memory}[sys.argv[1]](*sys.argv[2:])
