# SPDX-License-Identifier: Apache-2.0
"""Runs a program to which the kernel gives no netlink socket, as sandboxes without cables between networks do."""

import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
AF_NETLINK = 16
SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

LOAD, IS_EQUAL, RETURN = 0x20, 0x15, 0x06
steps = [
    (LOAD, 0, 0, 0),  # the number of the call
    (IS_EQUAL, 0, 3, SOCKET),
    (LOAD, 0, 0, 16),  # its first argument
    (IS_EQUAL, 0, 1, AF_NETLINK),
    (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
    (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
