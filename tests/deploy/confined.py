"""Run a command under what the unit's system call filter lets through: python confined.py FAMILIES CALLS COMMAND...

FAMILIES are numbers of address families, CALLS names of system calls, both separated by commas. What is not allowed fails with EPERM,
so does a socket of another family, and (from Linux 6.3 on) no memory becomes executable that was writable.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EQUAL = 4  # SCMP_CMP_EQ
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 1


class Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def confine(families: list[int], calls: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        sys.exit(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # fails before Linux 6.3
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    filter_ = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(ERRNO | errno.EPERM)))
    numbers = {name: seccomp.seccomp_syscall_resolve_name(name.encode()) for name in calls}
    for name, number in numbers.items():
        if name != "socket" and number >= 0:  # negative: not on this architecture
            assert seccomp.seccomp_rule_add_array(filter_, ctypes.c_uint32(ALLOW), number, 0, None) == 0, name
    for family in families:
        compare = (Compare * 1)(Compare(0, EQUAL, family, 0))
        assert seccomp.seccomp_rule_add_array(filter_, ctypes.c_uint32(ALLOW), numbers["socket"], 1, compare) == 0
    assert seccomp.seccomp_load(filter_) == 0


if __name__ == "__main__":
    confine([int(each) for each in sys.argv[1].split(",")], sys.argv[2].split(","))
    os.execvp(sys.argv[3], sys.argv[3:])
