#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# A manager, written from Documentation/operations.rst ("Driven by a manager") alone.
# Usage: manager.py FROM TO COMMAND...: runs COMMAND --msgfd N, copies files from FROM to TO when asked, says the outcome.
import os, socket, struct, subprocess, sys
NAMES = ["ERROR", "SYNCFS", "SUCCESS", "UNSUP"]

def number(data, at):
    value = shift = 0
    while data[at] & 0x80:
        value, shift, at = value | (data[at] & 0x7f) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1

def recv(sock):
    if len(length := sock.recv(4, socket.MSG_WAITALL)) < 4: sys.exit("no outcome")
    data, at, fields = sock.recv(struct.unpack("<I", length)[0], socket.MSG_WAITALL), 0, {}
    while at < len(data):
        tag, at = number(data, at)
        value, at = number(data, at)
        if tag & 7 == 2: value, at = data[at:at + value].decode(), at + value
        fields[tag >> 3] = value
    return fields[1], fields.get(2, "")

def send(sock, kind, count):
    body = bytes([1 << 3, kind, 3 << 3])
    while count > 0x7f: body, count = body + bytes([count & 0x7f | 0x80]), count >> 7
    sock.sendall(struct.pack("<I", len(body) + 1) + body + bytes([count]))

def sync(source, to):
    subprocess.run(["cp", "-a", source + "/.", to], check=True)
    return sum(entry.stat().st_size for entry in os.scandir(to))

ours, theirs = socket.socketpair()
helper = subprocess.Popen(sys.argv[3:] + ["--msgfd", str(theirs.fileno())], pass_fds=[theirs.fileno()])
theirs.close()
while NAMES[(said := recv(ours))[0]] == "SYNCFS":
    send(ours, NAMES.index("SUCCESS"), sync(sys.argv[1], sys.argv[2]))
print(NAMES[said[0]], said[1], flush=True)
sys.exit(helper.wait())
