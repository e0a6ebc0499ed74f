#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Stands in for the journal and the log: writes what comes on which connection to a file.

Usage: journal_server.py FILE [STREAM-PATH DATAGRAM-PATH]
"""
import os
import select
import socket
import sys

JOURNAL = "/run/systemd/journal"


def listen(path, kind):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(path)
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    return sock


def main():
    stream = listen((sys.argv[2:3] or [JOURNAL + "/stdout"])[0], socket.SOCK_STREAM)
    datagram = listen((sys.argv[3:4] or [JOURNAL + "/dev-log"])[0], socket.SOCK_DGRAM)
    # buffering by line: a test reads it all the time
    out = open(sys.argv[1], "w", buffering=1)
    numbers, parts = {}, {}
    print("ready", file=out)
    while True:
        for sock in select.select([stream, datagram] + list(numbers), [], [])[0]:
            if sock is stream:
                client = stream.accept()[0]
                numbers[client], parts[client] = len(parts) + 1, b""
            elif sock is datagram:
                print("datagram:", datagram.recv(4096).decode(), file=out)
            else:
                data = sock.recv(4096)
                if not data:
                    print("stream %d ends" % numbers.pop(sock), file=out)
                    continue
                lines = (parts[sock] + data).split(b"\n")
                parts[sock] = lines.pop()
                for line in lines:
                    print("stream %d: %s" % (numbers[sock], line.decode()), file=out)


main()
