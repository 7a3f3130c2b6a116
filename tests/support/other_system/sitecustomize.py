# ruff: noqa: PTH112, PTH115, PTH119, PTH208, SIM905
"""Make this process as bare as a Python on Windows; on the path, it does so to every process.

Modules and functions that only POSIX systems have are missing, sockets are no descriptors, and
files have the habits of Windows. pyserial's own module for POSIX fails to import, so only TCP is
left. It is no Windows: see the README.
"""

import errno
import fcntl
import importlib.abc
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys

MODULES = {"fcntl", "grp", "posix_ipc", "pty", "pwd", "readline", "resource", "termios", "tty"}
OS_NAMES = (
    "fork forkpty openpty login_tty posix_openpt ttyname ctermid killpg getpgid getpgrp setsid "
    "setpgid getuid geteuid getgid getegid getgroups setuid setgid mkfifo mknod nice sched_yield "
    "sched_getaffinity sched_setaffinity sysconf pathconf statvfs fstatvfs getloadavg chown fchmod "
    "fchown lchown pread pwrite preadv pwritev posix_fadvise posix_fallocate sendfile sync "
    "fdatasync fchdir chroot O_NOFOLLOW O_DIRECTORY O_CLOEXEC O_SYNC O_NONBLOCK"
).split()
SIGNALS = "SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGPIPE SIGQUIT SIGCHLD SIGKILL SIGWINCH SIGTSTP".split()


class _Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _is_socket(descriptor):
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _descriptors_only(call):
    def checked(descriptor, *arguments):
        if _is_socket(descriptor):
            raise OSError(errno.EBADF, "a socket is no descriptor")
        return call(descriptor, *arguments)

    return checked


def _fsync(descriptor, _fsync=os.fsync, _get=fcntl.fcntl, _flags=fcntl.F_GETFL):
    if _get(descriptor, _flags) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "only what is open for writing can be flushed")
    _fsync(descriptor)


def _select(readers, writers, others, timeout=None, _select=select.select):
    for one in (*readers, *writers, *others):
        if not _is_socket(one if isinstance(one, int) else one.fileno()):
            raise OSError(errno.EBADF, "select takes sockets only")
    return _select(readers, writers, others, timeout)


def _not_while_open(call):
    """Refuse to rename or remove a file that this process has open, or a folder of one."""

    def checked(*paths, **options):
        names = {os.path.realpath(os.fspath(path)) for path in paths if not isinstance(path, int)}
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{descriptor}")
            except OSError:
                continue
            if any(target == name or target.startswith(f"{name}/") for name in names):
                raise PermissionError(errno.EACCES, "the file is in use by a process", target)
        return call(*paths, **options)

    return checked


def _audit(event, arguments, _bad=re.compile(r'[<>:"|?*]|[. ]$')):
    if event != "open" or not isinstance(arguments[0], str | bytes):
        return
    name = os.path.basename(os.fsdecode(arguments[0]))
    flags = arguments[2] if isinstance(arguments[2], int) else 0
    if flags & os.O_CREAT and _bad.search(name):
        raise OSError(errno.EINVAL, "not a name that Windows allows", name)
    if flags & os.O_ACCMODE == os.O_RDONLY and arguments[1] is None and os.path.isdir(arguments[0]):
        raise PermissionError(errno.EACCES, "a folder cannot be opened", name)


def _disk_usage(path, _statvfs=os.statvfs):
    """Windows has another call for it, which `shutil` makes there."""
    found = _statvfs(path)
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return shutil._ntuple_diskusage(total, total - free, free)


def _end_at_once(process, _signal=signal.SIGKILL):
    """End a process: Windows knows one way, under both names, and asks nobody."""
    process.send_signal(_signal)


os.read, os.write = _descriptors_only(os.read), _descriptors_only(os.write)
os.fsync, select.select = _fsync, _select
os.replace, os.rename = _not_while_open(os.replace), _not_while_open(os.rename)
os.unlink, os.remove = _not_while_open(os.unlink), _not_while_open(os.remove)
shutil._use_fd_functions, shutil.disk_usage = False, _disk_usage
subprocess.CREATE_NEW_PROCESS_GROUP = 0
subprocess.Popen.terminate = subprocess.Popen.kill = _end_at_once
for name in OS_NAMES:
    if hasattr(os, name):
        delattr(os, name)
for name in SIGNALS:
    delattr(signal, name)
    del signal.Signals._member_map_[name]
for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, _Missing())
sys.addaudithook(_audit)
