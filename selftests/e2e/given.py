#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Opens the connections of a migration, as a caller does that has a network of its own, and runs both ends over them.
# Usage: given.py KIND DIR PID [OPTION]...: KIND: unix, tcp, kinds of TLS, or what is wrong; output of both ends, and keys, in DIR; OPTIONs of migrate
# $STREAMS: memory streams, of 1 unless set
import os, signal, socket, struct, subprocess, sys

def pair(family):
    if family == "unix":
        return socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    return near, listener.accept()[0]

def outcome(sock):
    length = sock.recv(4, socket.MSG_WAITALL)
    body = sock.recv(struct.unpack("<I", length)[0], socket.MSG_WAITALL) if length else b""
    return ["ERROR", "SYNCFS", "SUCCESS", "UNSUP"][body[1]] + " " + body[2:].decode(errors="replace") if body else "nothing"

def run(side, words, numbers, manager):
    words = words + ["--fdrpc", numbers[0], "--fdmem", numbers[1], "--fdmem", numbers[2], "--msgfd", str(manager.fileno())]
    for number in numbers[len(numbers) - more:]:
        words = words + ["--fdmem", number]
    if kind in drivers:
        words = words + (["--fdfs", numbers[3]] if kind != "channelless" else []) + ["--fs-driver", drivers[kind][side]]
    with open(os.path.join(where, side + ".json"), "w") as to, open(os.path.join(where, side + ".err"), "w") as log:
        fds = {manager.fileno()} | {int(number) for number in numbers}
        return subprocess.Popen((["ip", "netns", "exec", "dst"] + bind if side == "serve" else []) + ["migrate-helper"] + words,
                                stdout=to, stderr=log, pass_fds=fds)

kind, where, pid, options = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
keys = os.path.join(where, "keys")
seals = {"psk": [["--tls-psk", keys + "/one"]] * 2, "sealed-unix": [["--tls-psk", keys + "/one"]] * 2,
         "certificates": [["--tls-dir", keys + "/ca/source", "--allow", keys + "/dest"], ["--tls-dir", keys + "/ca/dest"]],
         "alien": [["--tls-dir", keys + "/ca/source"], ["--tls-dir", keys + "/alien/dest"]],
         "unlisted": [["--tls-dir", keys + "/ca/source", "--allow", keys + "/source"], ["--tls-dir", keys + "/ca/dest"]],
         "half": [["--tls-psk", keys + "/one"], ["--insecure-fds"]], "secure": [[], []]}
files, there = "/srv/driven", os.path.join(where, "there")
sends = "tar cf - -C %s . 2> /dev/null | base64 -w0; echo; read -r ack && [ $ack = ok ] && du -sb %s | cut -f1 >&3" % (files, files)
takes = "while read -r line; do echo $line | base64 -d | tar xf - -C %s && echo ok; done" % files
drivers = {"driver": {"migrate": sends, "serve": takes}, "channelless": {"migrate": sends, "serve": takes},
           "driver-fails": {"migrate": "exit 3", "serve": takes}, "driver-hangs": {"migrate": "sleep 1000", "serve": takes}}
bind = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', there, files] if kind in drivers else []
unix = ["unix", "same", "crossed", "silent", "sealed-unix"] + list(drivers)
more = int(os.environ.get("STREAMS", "1")) - 1
pairs = [pair("unix" if kind in unix else "tcp") for _ in range((4 if kind in drivers else 3) + more)]
here = [str(near.fileno()) for near, _ in pairs]
far = [str(far.fileno()) for _, far in pairs]
if kind == "crossed":
    far[1], far[2] = far[2], far[1]
if kind == "same":
    here[2] = here[1]
seal = seals.get(kind, [["--insecure-fds"]] * 2)
ours, theirs = zip(*(socket.socketpair() for _ in range(2)))
serve = run("serve", ["serve", "--json"] + seal[1], far, theirs[1])
if kind == "silent":
    serve.send_signal(signal.SIGSTOP)
migrate = run("migrate", ["migrate", "--pid", pid, "--json"] + seal[0] + options, here, theirs[0])
for sock in [sock for both in pairs for sock in both] + list(theirs):
    sock.close()
said = []
while not said or said[-1] == "SYNCFS ":
    if said:
        ours[0].sendall(struct.pack("<I", 2) + bytes([8, 3 if kind in drivers else 2]))
    said.append(outcome(ours[0]))
print("migrate", migrate.wait(), said[-1].split("\n")[0])
serve.send_signal(signal.SIGCONT)
print("serve", serve.wait(), outcome(ours[1]).split("\n")[0], flush=True)
