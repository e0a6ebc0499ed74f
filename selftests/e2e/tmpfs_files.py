#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Files of every kind for the test of a tmpfs, what there is to tell of them, and a program that changes them all the time.

Usage: tmpfs_files.py make|list|churn DIR
"""
import hashlib
import os
import random
import socket
import stat
import sys

LARGE = 1 << 20


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make(top):
    """Files that nobody changes."""
    os.umask(0)
    large = os.path.join(top, "large")
    write(large, os.urandom(5 * LARGE + 123))
    os.mkdir(os.path.join(top, "dir"))
    os.link(large, os.path.join(top, "dir", "the same"))
    write(os.path.join(top, "small"), b"small\n")
    os.link(os.path.join(top, "small"), os.path.join(top, "dir", "small"))
    write(os.path.join(top, "empty"), b"")
    for name, size in (("holes", 64 * LARGE), ("small holes", 200000)):
        with open(os.path.join(top, name), "wb") as file:
            file.truncate(size)
            file.seek(size // 2)
            file.write(os.urandom(size // 64))
    write(os.path.join(top, "hole"), b"")
    os.truncate(os.path.join(top, "hole"), 1 << 40)
    write(os.path.join(top, "line\nbreak \xe4"), b"name")
    write(os.path.join(top, "n" * 255), b"long name")
    os.symlink("nowhere/" + "x" * 3000, os.path.join(top, "link"))
    os.symlink("/etc", os.path.join(top, "dir", "way out"))
    os.mkfifo(os.path.join(top, "fifo"), 0o624)
    os.mknod(os.path.join(top, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(os.path.join(top, "block"), stat.S_IFBLK | 0o600, os.makedev(7, 200))
    socket.socket(socket.AF_UNIX).bind(os.path.join(top, "old socket"))
    deep = os.path.join(top, "deep")
    for i in range(60):
        os.mkdir(deep, 0o700 + i % 8)
        deep = os.path.join(deep, "d%d" % i)
    many = os.path.join(top, "many")
    os.mkdir(many)
    for i in range(2000):
        write(os.path.join(many, str(i)), b"%d" % i)
    for name, owner, mode in (("large", 1001, 0o4755), ("small", 1002, 0o0), ("dir", 1003, 0o3777), ("many", 1, 0o2750)):
        os.chown(os.path.join(top, name), owner, owner + 1)
        os.chmod(os.path.join(top, name), mode)
    os.chown(os.path.join(top, "link"), 77, 78, follow_symlinks=False)
    for name in ("large", "small", "dir", "link", "fifo"):
        os.setxattr(os.path.join(top, name), "trusted.test", os.urandom(100), follow_symlinks=False)
        os.setxattr(os.path.join(top, name), "trusted.empty", b"", follow_symlinks=False)
    os.mkdir(os.path.join(top, "covered"))
    write(os.path.join(top, "covered", "file"), os.urandom(LARGE))
    for name in ("large", "small", "link", "fifo", "many", "covered", ""):
        os.utime(os.path.join(top, name), ns=(1234567890123456789, 987654321987654321), follow_symlinks=False)


def holes(path, size):
    runs = []
    with open(path, "rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            runs.append((at, end))
            at = end
    return runs


def content(path, size):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for at, end in holes(path, size):
            file.seek(at)
            digest.update(file.read(end - at))
    return digest.hexdigest()


def walk(path, found):
    st = os.lstat(path)
    found.append((path, st))
    if stat.S_ISDIR(st.st_mode):
        for name in sorted(os.listdir(path)):
            if os.lstat(os.path.join(path, name)).st_dev == st.st_dev:
                walk(os.path.join(path, name), found)


def times(top, path, st):
    """CRIU binds sockets anew, makes deleted files in their directory, and maps files."""
    if stat.S_ISSOCK(st.st_mode) or path in (top, os.path.join(top, "churn")):
        return []
    if path == os.path.join(top, "churn", "object"):
        return [st.st_mtime_ns]
    return [st.st_atime_ns, st.st_mtime_ns]


def tell(top):
    """All of it is looked at before any is read, which changes times of access."""
    found, firsts = [], {}
    walk(top, found)
    vfs = os.statvfs(top)
    for path, st in found:
        first = firsts.setdefault(st.st_ino, path)
        said = [os.fsencode(path), oct(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_blocks, st.st_nlink, st.st_rdev,
                os.fsencode(first)] + times(top, path, st)
        said += [(name, os.getxattr(path, name, follow_symlinks=False))
                 for name in sorted(os.listxattr(path, follow_symlinks=False))]
        if stat.S_ISLNK(st.st_mode):
            said.append(os.fsencode(os.readlink(path)))
        if stat.S_ISREG(st.st_mode):
            said += [holes(path, st.st_size), content(path, st.st_size)]
        print(said)
    blocks = sum({st.st_ino: st.st_blocks for _, st in found}.values()) // 8
    print("pages of deleted files:", vfs.f_blocks - vfs.f_bfree - blocks, "inodes:", vfs.f_files, "pages:", vfs.f_blocks)


def change(top, turn):
    """One change of each kind."""
    with open(os.path.join(top, "written"), "r+b") as file:
        file.seek(random.randrange(2 * LARGE))
        file.write(os.urandom(100))
    with open(os.path.join(top, "log"), "ab") as file:
        file.write(b"%d\n" % turn)
    os.truncate(os.path.join(top, "resized"), random.randrange(8) * LARGE // 4)
    new = os.path.join(top, "new")
    write(new, os.urandom(LARGE // 2) if turn % 2 else b"%d" % turn)
    os.rename(new, os.path.join(top, "name %d" % random.randrange(6)))
    if os.path.lexists(os.path.join(top, "gone %d" % (turn % 3))):
        os.unlink(os.path.join(top, "gone %d" % (turn % 3)))
    else:
        write(os.path.join(top, "gone %d" % (turn % 3)), os.urandom(LARGE // 2))
    os.chmod(os.path.join(top, "log"), 0o600 + turn % 64)
    os.utime(os.path.join(top, "resized"), ns=(turn, turn))
    os.setxattr(os.path.join(top, "log"), "trusted.turn", b"%d" % turn)


def churn(top):
    """Changes files for ever."""
    for name in ("written", "resized", "log"):
        write(os.path.join(top, name), os.urandom(4 * LARGE))
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.join(top, "socket"))
    server.listen(5)
    turn = 0
    while True:
        change(top, turn)
        turn += 1


{"make": make, "list": tell, "churn": churn}[sys.argv[1]](sys.argv[2])
