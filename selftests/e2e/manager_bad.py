#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# A manager that does not do what it should. Files do not have to move: they are the same on both sides.
# Usage: manager_bad.py WHAT N COMMAND...: WHAT is done in place of the Nth answer; COMMAND --msgfd is run
import os, signal, socket, struct, subprocess, sys, time

def message(kind, text=b"", count=None):
    body = bytes([8, kind]) + (bytes([0x12, len(text)]) + text if text else b"")
    if count is not None:
        body += b"\x18"
        while count > 0x7f:
            body, count = body + bytes([count & 0x7f | 0x80]), count >> 7
        body += bytes([count])
    return struct.pack("<I", len(body)) + body

def outcome(sock):
    data = sock.recv(4, socket.MSG_WAITALL)
    if len(data) < 4:
        return "nothing"
    data = sock.recv(struct.unpack("<I", data)[0], socket.MSG_WAITALL)
    kind = ["ERROR", "SYNCFS", "SUCCESS", "UNSUP"][data[1]]
    return kind + " " + data[2:].decode(errors="replace")

good = message(2, count=5)
does = {
    "bytes": message(2, count=1 << 40), "none": message(2), "unsup": message(3, b"not here"),
    "error": message(0, b"the disk\x1b[31m is full\n"), "garbage": b"GET / HTTP/1.0\r\n\r\n",
    "long": struct.pack("<I", 65537), "longest": struct.pack("<I", 0xffffffff), "empty": struct.pack("<I", 0),
    "rubbish": struct.pack("<I", 8) + b"\xff" * 8, "kind": message(9), "syncfs": message(1), "twice": good + good,
    "half": good[:5], "slow": good, "hang": b"", "close": b"", "die": b"",
}
what, nth, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
ours, theirs = socket.socketpair()
helper = subprocess.Popen(command + ["--msgfd", str(theirs.fileno())], pass_fds=[theirs.fileno()])
theirs.close()
asked = 0
while True:
    said = outcome(ours)
    if not said.startswith("SYNCFS"):
        break
    asked += 1
    if asked != nth:
        ours.sendall(good)
        continue
    if what == "slow":
        time.sleep(1)
        for byte in does[what]:
            time.sleep(0.05)
            ours.sendall(bytes([byte]))
    elif what == "close":
        ours.shutdown(socket.SHUT_WR)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        ours.sendall(does[what])
print(asked, said, flush=True)
sys.exit(helper.wait())
