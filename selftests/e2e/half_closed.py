#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that are at their end while their data are still on the way.

half_closed.py serve ADDRESS PORT FILE     the program that moves; says in FILE.KIND how many bytes it has sent.
                                           It sends datagrams that come to the address back
half_closed.py peer KIND ADDRESS PORT FILE its peer, which reads nothing until SIGUSR1 comes; FILE has what became of it

The server sends until nothing more goes in. KIND is what it does with the connection, by the state of its end:
    FIN_WAIT1  it ends its half
    CLOSING    the same, and then the peer ends its own
    LAST_ACK   the peer has ended its half before
    closed     it closes the socket
"""
import random
import select
import signal
import socket
import sys
import time

BLOCK = random.Random(1).randbytes(65521)
KINDS = {b'f': 'FIN_WAIT1', b'c': 'CLOSING', b'l': 'LAST_ACK', b'o': 'closed'}


def content(at, nr):
    """What the stream has there."""
    start = at % len(BLOCK)
    return (BLOCK * (nr // len(BLOCK) + 2))[start:start + nr]


def fill(sock):
    sent = 0
    sock.setblocking(False)
    try:
        while True:
            sent += sock.send(content(sent, 65536))
    except BlockingIOError:
        return sent


def serve_one(sock, file):
    kind = KINDS[sock.recv(1)]
    if kind == 'LAST_ACK':
        sock.recv(1)
    sent = fill(sock)
    if kind == 'closed':
        sock.close()
    else:
        sock.shutdown(socket.SHUT_WR)
    with open('%s.%s' % (file, kind), 'w') as out:
        out.write('%d\n' % sent)
    return sock


def serve(address, port, file):
    listener = socket.create_server(('', int(port)))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, int(port)))
    kept = []
    while True:
        ready = select.select([listener, datagrams], [], [])[0]
        if datagrams in ready:
            datagrams.sendto(*datagrams.recvfrom(4096))
        if listener in ready:
            kept.append(serve_one(listener.accept()[0], file))


def read_all(sock):
    got = 0
    while True:
        data = sock.recv(65536)
        if not data:
            return 'whole %d' % got
        if data != content(got, len(data)):
            return 'wrong after %d' % got
        got += len(data)


def peer(kind, address, port, file):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((address, int(port)))
    sock.send([letter for letter, name in KINDS.items() if name == kind][0])
    if kind == 'CLOSING':
        time.sleep(1)
    if kind in ('CLOSING', 'LAST_ACK'):
        sock.shutdown(socket.SHUT_WR)
    signal.sigwait([signal.SIGUSR1])
    sock.settimeout(20)
    try:
        text = read_all(sock)
    except OSError as why:
        text = 'failed: %s' % why
    with open(file, 'w') as out:
        out.write(text + '\n')


{'serve': serve, 'peer': peer}[sys.argv[1]](*sys.argv[2:])
