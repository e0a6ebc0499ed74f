#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A server of many threads, for moving: set and get of memcached's protocol.

moved_server.py PORT THREADS

Besides a thread for each connection there are THREADS that change memory of their own and look
whether it is what they left. One that finds something else ends the program.
"""
import os
import socket
import sys
import threading
import time
import zlib

BLOCK_BYTES = 1 << 20

store = {}
lock = threading.Lock()


def work(number):
    block = bytearray(os.urandom(BLOCK_BYTES))
    crc = zlib.crc32(block)
    at = number
    while True:
        if zlib.crc32(block) != crc:
            os._exit(99)
        at = (at * 1103515245 + 12345) % BLOCK_BYTES
        block[at] = (block[at] + 1) % 256
        crc = zlib.crc32(block)
        time.sleep(0.05)


def serve(sock):
    stream = sock.makefile('rwb')
    for line in stream:
        words = line.split()
        if words[0] == b'set':
            value = stream.read(int(words[4]) + 2)[:-2]
            with lock:
                store[words[1]] = value
            stream.write(b'STORED\r\n')
        else:
            with lock:
                value = store.get(words[1])
            if value is not None:
                stream.write(b'VALUE %s 0 %d\r\n%s\r\n' % (words[1], len(value), value))
            stream.write(b'END\r\n')
        stream.flush()


def serve_safely(sock):
    try:
        serve(sock)
    except OSError:
        pass
    sock.close()


def main():
    listener = socket.create_server(('', int(sys.argv[1])), backlog=64)
    for number in range(int(sys.argv[2])):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_safely, args=(sock,), daemon=True).start()


main()
