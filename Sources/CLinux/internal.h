// SPDX-License-Identifier: Apache-2.0
// What the files of the launcher share. Nothing here may allocate, lock or use standard streams.
#ifndef CLINUX_INTERNAL_H
#define CLINUX_INTERNAL_H
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))

/// Runs one step; returns 0 or the error's number.
HIDDEN int clinux_run_step(struct clinux_launch *launch, struct clinux_step *step);

/// Opens the target of a step, making it where it is missing; returns a descriptor, or -1 with errno.
HIDDEN int clinux_open_target(const struct clinux_step *step, int is_file);

/// Mounts an overlay; returns a mount that hangs nowhere, or -1 with errno.
HIDDEN int clinux_overlay(const struct clinux_step *step);

/// Opens a terminal in the new root and sends its other side; returns 0 or the error's number.
HIDDEN int clinux_open_terminal(struct clinux_launch *launch);

/// Brings the loopback interface of this thread's network up; returns 0 or the error's number.
HIDDEN int clinux_raise_loopback(void);

/// Gives up rights, in the order that lets the next thing be given up; returns the stage that failed, errno set.
HIDDEN enum clinux_stage clinux_become(struct clinux_launch *launch);

static inline int sys_open_tree(int folder, const char *path, unsigned flags) {
    return (int)syscall(SYS_open_tree, folder, path, flags);
}

static inline int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
    return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int sys_mount_setattr(int folder, const char *path, unsigned flags, struct mount_attr *attributes) {
    return (int)syscall(SYS_mount_setattr, folder, path, flags, attributes, sizeof *attributes);
}
#endif
