#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Stands between `migrate-helper lazy-pages` and the page server of `criu dump --lazy-pages`.

Usage: lazy_proxy.py PORT TO [WAY [N]]     the helper connects to PORT, the page server listens at TO
  plain       each answer goes on as it is
  cut N       the connection with the helper ends in the middle of answer N; the one with the page server
              stays, and the helper may connect again
  end N       the connection with the page server is reset after answer N, too
  head N      answer N has another command
  addr N      answer N has another address
  task N      answer N is for another task
  more N      answer N has a page more than was asked for
  zeros N     page 0 of answer N is one of zeros: what a test of memory has to notice
  unasked N   answer N comes twice
       lazy_proxy.py --relay PORT TO        both ends connect: the dump to PORT, and PORT to TO when that listens
It writes "ready" when it listens, and the number of answers at the end.
"""
import socket
import struct
import sys
import threading
import time

PAGE = 4096
CLOSE = (0x1023, 0x1024)


def recv_all(sock, count):
    data = bytearray()
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


class Form:
    """A command's bytes: up to CRIU 4.1 24 of them, and 32 from 4.2 on."""
    def __init__(self, start):
        # the narrow form counts pages there
        self.wide = not struct.unpack_from("<I", start, 4)[0]
        self.struct = struct.Struct("<IIQQQ" if self.wide else "<IIQQ")
        self.size = self.struct.size

    def unpack(self, raw):
        """command, pages, address, task"""
        command, *rest = self.struct.unpack(raw)
        return (command, *rest[1:]) if self.wide else (command, *rest)

    def pack(self, command, *rest):
        return self.struct.pack(command, *([0] if self.wide else []), *rest)


class Proxy:
    def __init__(self, port, to, way, number):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.server = self.form = None
        self.to, self.way, self.number = to, way, number
        self.answers = 0

    def ask(self, raw):
        """The page server's whole answer to a GET."""
        self.server.sendall(raw)
        head = recv_all(self.server, self.form.size)
        if head is None:
            return None
        data = recv_all(self.server, self.form.unpack(head)[1] * PAGE)
        return None if data is None else (head, data)

    def spoil(self, head, data):
        command, pages, addr, task = self.form.unpack(head)
        if self.way == "head":
            command = 6
        elif self.way == "addr":
            addr += PAGE
        elif self.way == "task":
            task += 1
        elif self.way == "more":
            pages, data = pages + 4096, data + bytes(PAGE)
        elif self.way == "zeros":
            data = bytes(PAGE) + data[PAGE:]
        elif self.way == "unasked":
            return (head + data) * 2
        return self.form.pack(command, pages, addr, task) + data

    def command(self, helper):
        """The next one, whose first is a GET."""
        start = recv_all(helper, 8)
        if start is None:
            return None
        self.form = self.form or Form(start)
        rest = recv_all(helper, self.form.size - len(start))
        return None if rest is None else start + rest

    def serve(self, helper):
        """Until the helper's connection ends; true when the dump has ended as well."""
        while (raw := self.command(helper)) is not None:
            command = self.form.unpack(raw)[0]
            if command & 0xFFFF != 7:
                self.server.sendall(raw)
                if command in CLOSE:
                    helper.sendall(recv_all(self.server, 4) or b"")
                return True
            answer = self.ask(raw)
            if answer is None:
                return True
            self.answers += 1
            whole = answer[0] + answer[1]
            if self.answers == self.number:
                if self.way in ("cut", "end"):
                    helper.sendall(whole[: len(whole) // 2])
                    return self.way == "end"
                whole = self.spoil(*answer)
            helper.sendall(whole)
        return False

    def run(self):
        print("ready", flush=True)
        done = False
        while not done:
            helper, _ = self.listener.accept()
            if not self.server:
                self.server = socket.create_connection(("127.0.0.1", self.to))
            try:
                done = self.serve(helper)
            except (BrokenPipeError, ConnectionResetError):
                pass
            if self.way == "end" and done:
                # an error, not an end: the dump fails
                self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.server.close()
            helper.close()
        print(self.answers, flush=True)


def copy_bytes(one, other):
    while data := one.recv(1 << 16):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)


def relay(port, to):
    listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    one, _ = listener.accept()
    other = None
    while not other:
        try:
            other = socket.create_connection(("127.0.0.1", to))
        except ConnectionRefusedError:
            time.sleep(0.02)
    back = threading.Thread(target=copy_bytes, args=(other, one))
    back.start()
    copy_bytes(one, other)
    back.join()


if __name__ == "__main__":
    WORDS = sys.argv[1:]
    if WORDS and WORDS[0] == "--relay":
        relay(int(WORDS[1]), int(WORDS[2]))
        sys.exit()
    if len(WORDS) < 2:
        sys.exit(__doc__)
    Proxy(int(WORDS[0]), int(WORDS[1]), (WORDS + ["plain"])[2] if len(WORDS) < 3 else WORDS[2],
          int(WORDS[3]) if len(WORDS) > 3 else 0).run()
