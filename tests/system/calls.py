"""Traced programs: runs a program and stops it in front of each of the system calls that are asked for, in any of
its threads, so that a test can kill it there, hold it there, or let the call fail.

It uses ptrace by itself. strace counts the calls of each thread on its own, so that a call of a second thread can't
be reached when the same call of the first thread ends the program; and it can pretend a short write, but not make
one. Stacks are those of libunwind, which strace -k uses, too."""

import ctypes
import ctypes.util
import errno
import os
import pathlib
import platform
import signal
import struct
import threading
import time

NUMBERS = {"read": 0, "write": 1, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "flock": 73, "fsync": 74,
           "fdatasync": 75, "ftruncate": 77, "getdents64": 217, "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86,
           "unlink": 87, "symlink": 88, "fchmod": 91, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264,
           "linkat": 265, "sync_file_range": 277, "utimensat": 280, "fallocate": 285, "preadv": 295, "pwritev": 296,
           "renameat2": 316, "copy_file_range": 326, "preadv2": 327, "pwritev2": 328, "io_uring_enter": 426}
NAMES = {number: name for name, number in NUMBERS.items()}
# The calls that change or sync files. Of openat, those that may make a file.
CHANGING = ("write pwrite64 writev flock fsync fdatasync ftruncate rename mkdir rmdir link unlink symlink fchmod openat "
            "mkdirat unlinkat renameat linkat sync_file_range utimensat fallocate pwritev renameat2 copy_file_range "
            "pwritev2 io_uring_enter").split()
READING = "read pread64 readv preadv preadv2 getdents64".split()
# Where the path of a call stands, for those that take one: the last of two.
PATH_REGISTER = {"rename": "rsi", "mkdir": "rdi", "rmdir": "rdi", "link": "rsi", "unlink": "rdi", "symlink": "rsi",
                 "openat": "rsi", "mkdirat": "rsi", "unlinkat": "rsi", "renameat": "r10", "renameat2": "r10",
                 "linkat": "r10", "utimensat": "rsi"}
O_CREAT = 0o100

REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
             "ds es fs gs").split()
TRACEME, CONT, GETREGS, SETREGS, SETOPTIONS = 0, 7, 12, 13, 0x4200
OPTIONS = 2 | 4 | 8 | 16 | 0x80 | 0x100000  # fork, vfork, clone, exec, seccomp; end with the tracer
SECCOMP_STOP = 7
WALL = 0x40000000
BEGIN = 0x555555554000  # where a program begins when its addresses stay
ADDRESSES_STAY = 0x0040000  # ADDR_NO_RANDOMIZE: the same stack has the same addresses in each run


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


class Filter(ctypes.Structure):
    _fields_ = [("size", ctypes.c_ushort), ("code", ctypes.c_char_p)]


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if LIBC.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace {request}: {os.strerror(number)}")


def filter_code(calls):
    """Returns the program of the kernel's filter that stops at `calls` and lets all others pass."""
    numbers = [NUMBERS[call] for call in calls]
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the call
    for at, number in enumerate(numbers):
        code += struct.pack("HBBI", 0x15, len(numbers) - at, 0, number)  # equal: go to the last line
    return code + struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000) + struct.pack("HBBI", 0x06, 0, 0, 0x7FF00000)


class Unwinder:
    """Stacks of stopped threads, as addresses. Fails with OSError where libunwind is missing."""

    def __init__(self):
        for name in ("liblzma.so.5", "libunwind.so.8"):  # libunwind-ptrace does not name all that it needs
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL("libunwind-x86_64.so.8", mode=ctypes.RTLD_GLOBAL)
        self.tracer = ctypes.CDLL("libunwind-ptrace.so.0")
        self.create = self.lib._Ux86_64_create_addr_space
        self.create.restype = self.tracer._UPT_create.restype = ctypes.c_void_p
        self.create.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.tracer._UPT_destroy.argtypes = [ctypes.c_void_p]
        self.lib._Ux86_64_init_remote.argtypes = [ctypes.c_void_p] * 3
        self.lib._Ux86_64_set_caching_policy.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.lib._Ux86_64_get_reg.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self.lib._Ux86_64_step.argtypes = self.lib._Ux86_64_destroy_addr_space.argtypes = [ctypes.c_void_p]
        accessors = ctypes.addressof(ctypes.c_char.in_dll(self.tracer, "_UPT_accessors"))
        self.space = self.create(accessors, 0)
        self.lib._Ux86_64_set_caching_policy(self.space, 2)

    def close(self):
        self.lib._Ux86_64_destroy_addr_space(self.space)

    def stack(self, thread):
        cursor = ctypes.create_string_buffer(8192)
        address = ctypes.c_ulonglong()
        info = self.tracer._UPT_create(thread)
        found = []
        if self.lib._Ux86_64_init_remote(cursor, self.space, info) == 0:
            for _ in range(100):
                self.lib._Ux86_64_get_reg(cursor, 16, ctypes.byref(address))
                found.append(address.value)
                if self.lib._Ux86_64_step(cursor) <= 0:
                    break
        self.tracer._UPT_destroy(info)
        return tuple(found)


class Stop:
    """A thread in front of a call."""

    def __init__(self, run, thread):
        self.run, self.thread, self.registers = run, thread, Registers()
        ptrace(GETREGS, thread, ctypes.addressof(self.registers))
        self.call = NAMES[self.registers.orig_rax]
        self.path = self.find_path()

    def find_path(self):
        if self.call in PATH_REGISTER:
            with open(f"/proc/{self.thread}/mem", "rb", 0) as memory:
                address = getattr(self.registers, PATH_REGISTER[self.call])
                text = os.pread(memory.fileno(), min(4096, 4096 - address % 4096), address)
            return os.path.join(self.run.folder, text.split(b"\0")[0].decode(errors="replace"))
        try:
            number = self.registers.rdx if self.call == "copy_file_range" else self.registers.rdi
            return os.readlink(f"/proc/{self.thread}/fd/{number}").removesuffix(" (deleted)")
        except OSError:
            return ""

    def makes_or_changes(self):
        return self.call not in READING and (self.call != "openat" or bool(self.registers.rdx & O_CREAT))

    def stack(self):
        return self.run.unwinder.stack(self.thread)

    def fail(self, number):
        """The call is not made, and returns this error."""
        self.registers.orig_rax = ctypes.c_ulonglong(-1).value
        self.registers.rax = ctypes.c_ulonglong(-number).value
        ptrace(SETREGS, self.thread, ctypes.addressof(self.registers))

    def shorten(self):
        """The call is made with half of its bytes. Returns whether it has that many."""
        if self.call not in ("read", "write", "pread64", "pwrite64") or self.registers.rdx < 2:
            return False
        self.registers.rdx //= 2
        ptrace(SETREGS, self.thread, ctypes.addressof(self.registers))
        return True


class Run:
    """A run of a program under the tracer. `status` is that of subprocess; `late` says that it was killed after
    `timeout` seconds."""

    def __init__(self, words, environment, calls, at_stop, scratch, timeout=300, stacks=False):
        self.words, self.environment, self.calls = [str(word) for word in words], environment, calls
        self.at_stop, self.timeout, self.folder = at_stop, timeout, os.getcwd()
        self.output = [os.path.join(scratch, name) for name in ("traced.out", "traced.err")]
        self.unwinder = Unwinder() if stacks else None
        self.status, self.late = None, False
        began = time.monotonic()
        self.pid = self.begin()
        watch = threading.Timer(timeout, self.out_of_time)
        watch.start()
        try:
            self.follow()
        finally:
            watch.cancel()
            if self.status is None:
                self.kill()
                self.reap()
            if self.unwinder:
                self.unwinder.close()
        self.seconds = time.monotonic() - began
        self.out, self.err = (pathlib.Path(path).read_text(errors="replace") for path in self.output)

    def begin(self):
        code = filter_code(self.calls)
        program = Filter(len(code) // 8, code)
        pid = os.fork()
        if pid == 0:
            try:
                for target, path in ((1, self.output[0]), (2, self.output[1])):
                    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), target)
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                os.closerange(3, 256)
                LIBC.personality(ADDRESSES_STAY)
                ptrace(TRACEME, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                LIBC.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, which a filter needs without root
                if LIBC.prctl(22, 2, ctypes.byref(program)) == 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
                    os.execve(self.words[0], self.words, self.environment)
            finally:
                os._exit(126)
        _, status = os.waitpid(pid, WALL)
        if not os.WIFSTOPPED(status):
            raise OSError(errno.EPERM, "programs can't be traced here")
        ptrace(SETOPTIONS, pid, OPTIONS)
        ptrace(CONT, pid)
        return pid

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def reap(self):
        while self.status is None:
            pid, status = os.waitpid(-1, WALL)
            self.ended(pid, status)

    def ended(self, pid, status):
        if pid == self.pid and not os.WIFSTOPPED(status):
            self.status = os.waitstatus_to_exitcode(status)
        return not os.WIFSTOPPED(status)

    def out_of_time(self):
        self.late = True
        self.kill()

    def follow(self):
        known = {self.pid}
        while self.status is None:
            pid, status = os.waitpid(-1, WALL)
            if self.ended(pid, status):
                continue
            sent = os.WSTOPSIG(status)
            if status >> 16 == SECCOMP_STOP:
                self.stopped(pid)
                sent = 0
            elif status >> 16 or (sent == signal.SIGSTOP and pid not in known):
                sent = 0
            known.add(pid)
            try:
                ptrace(CONT, pid, sent)
            except ProcessLookupError:  # it was killed meanwhile
                pass

    def stopped(self, thread):
        try:
            self.at_stop(Stop(self, thread))
        except (ProcessLookupError, FileNotFoundError):  # it was killed meanwhile
            pass


def can_trace(scratch):
    """Returns why programs can't be traced here, or nothing."""
    if platform.machine() != "x86_64":
        return "the tracer knows the registers of x86-64 only"
    seen = []
    try:
        Run(["/bin/mkdir", os.path.join(scratch, "traced")], dict(os.environ), ["mkdir"],
            lambda stop: seen.append((stop.call, len(stop.stack()))), scratch, 20, stacks=True)
    except OSError as error:
        return f"no tracing: {error}"
    return "" if seen and seen[0][0] == "mkdir" and seen[0][1] > 2 else "no tracing: a call was not seen"
