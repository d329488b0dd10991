// SPDX-License-Identifier: Apache-2.0
// The steps: what is mounted where.
#define _GNU_SOURCE
#include "internal.h"
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>

static unsigned long classic_flags(unsigned flags) {
    return (flags & CLINUX_RDONLY ? MS_RDONLY : 0) | (flags & CLINUX_NOSUID ? MS_NOSUID : 0)
        | (flags & CLINUX_NODEV ? MS_NODEV : 0) | (flags & CLINUX_NOEXEC ? MS_NOEXEC : 0);
}

/// Adds attributes to a mount that may hang nowhere; ENOSYS where the kernel is older than 5.12.
static int restrict_mount(int mount, unsigned flags) {
    struct mount_attr attributes = {
        .attr_set = (flags & CLINUX_RDONLY ? MOUNT_ATTR_RDONLY : 0) | (flags & CLINUX_NOSUID ? MOUNT_ATTR_NOSUID : 0)
            | (flags & CLINUX_NODEV ? MOUNT_ATTR_NODEV : 0) | (flags & CLINUX_NOEXEC ? MOUNT_ATTR_NOEXEC : 0),
    };
    if (attributes.attr_set == 0) return 0;
    unsigned at = AT_EMPTY_PATH | (flags & CLINUX_RECURSIVE ? AT_RECURSIVE : 0);
    return sys_mount_setattr(mount, "", at, &attributes) == 0 ? 0 : errno;
}

/// The same by the older call, on a mount that hangs at a path; what was forbidden before stays so.
static int restrict_path(const char *path, unsigned flags) {
    struct statfs status;
    if (statfs(path, &status) != 0) return errno;
    unsigned long kept = (unsigned long)status.f_flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    unsigned long all = MS_REMOUNT | MS_BIND | kept | classic_flags(flags);
    return mount(NULL, path, NULL, all, NULL) == 0 ? 0 : errno;
}

static int clone_tree(struct clinux_launch *launch, struct clinux_step *step) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    int mount = sys_open_tree(AT_FDCWD, step->source, flags | (step->flags & CLINUX_RECURSIVE ? AT_RECURSIVE : 0));
    // In a user namespace mounts below are locked to the one above: only all can be had.
    if (mount < 0 && errno == EINVAL) mount = sys_open_tree(AT_FDCWD, step->source, flags | AT_RECURSIVE);
    if (mount < 0) return errno;
    launch->slots[step->slot] = mount;
    return 0;
}

static int new_file_system(struct clinux_launch *launch, struct clinux_step *step) {
    int context = (int)syscall(SYS_fsopen, step->source, FSOPEN_CLOEXEC);
    if (context < 0) return errno;
    int error = syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0 ? 0 : errno;
    int mount = error == 0 ? (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0) : -1;
    if (error == 0 && mount < 0) error = errno;
    close(context);
    launch->slots[step->slot] = mount;
    return error;
}

static int stage_file(struct clinux_launch *launch, struct clinux_step *step) {
    int file = open(step->source, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return errno;
    size_t written = 0;
    int error = 0;
    while (written < step->size && error == 0) {
        ssize_t count = write(file, step->data + written, step->size - written);
        if (count > 0) written += (size_t)count;
        else if (errno != EINTR) error = errno;
    }
    if (error == 0 && fchown(file, step->uid, step->gid) != 0) error = errno;
    if (error == 0 && fchmod(file, step->mode) != 0) error = errno;
    close(file);
    return error != 0 ? error : clone_tree(launch, step);
}

/// Turns the mount in a slot into the root; nothing of the old root can be reached afterwards.
static int change_root(struct clinux_launch *launch, struct clinux_step *step) {
    int root = launch->slots[step->slot];
    int error = restrict_mount(root, step->flags);
    if (error != 0 && error != ENOSYS) return error;
    if (sys_move_mount(root, "", AT_FDCWD, step->target, MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
    if (fchdir(root) != 0) return errno;
    if (error == ENOSYS && (error = restrict_path(".", step->flags)) != 0) return error;
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH) != 0) return errno;
    } else {
        // The first file system of the kernel (initramfs) can't be pivoted away from, only covered.
        if (errno != EINVAL) return errno;
        if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) return errno;
    }
    return chdir("/") == 0 ? 0 : errno;
}

static int attach(struct clinux_launch *launch, struct clinux_step *step) {
    int mount = launch->slots[step->slot];
    struct stat status;
    if (fstat(mount, &status) != 0) return errno;
    int error = restrict_mount(mount, step->flags);
    if (error != 0 && error != ENOSYS) return error;
    int target = clinux_open_target(step, !S_ISDIR(status.st_mode));
    if (target < 0) return errno;
    int moved = sys_move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    int failure = errno;
    close(target);
    if (moved != 0) return failure;
    return error == ENOSYS ? restrict_path(step->target, step->flags) : 0;
}

static int mount_new(struct clinux_step *step) {
    int target = clinux_open_target(step, 0);
    if (target < 0) return errno;
    // The open folder keeps links on the way from being changed meanwhile; mount itself takes only paths.
    int error = fchdir(target) == 0 ? 0 : errno;
    close(target);
    if (error == 0 && mount(step->source, ".", step->source, classic_flags(step->flags), step->data) != 0) error = errno;
    return chdir("/") != 0 && error == 0 ? errno : error;
}

static int make_read_only(const char *path, unsigned flags) {
    int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) return errno == ENOENT ? 0 : errno;
    int error = restrict_mount(tree, flags | CLINUX_RDONLY | CLINUX_RECURSIVE);
    if (error == 0 || error == ENOSYS) {
        int moved = sys_move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
        if (moved != 0) error = errno;
        else if (error == ENOSYS) error = restrict_path(path, flags | CLINUX_RDONLY);
    }
    close(tree);
    return error;
}

static int mask(struct clinux_step *step) {
    struct stat status;
    if (lstat(step->target, &status) != 0) return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : errno;
    if (S_ISDIR(status.st_mode)) {
        unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
        return mount("tmpfs", step->target, "tmpfs", flags, "size=0,nr_inodes=1") == 0 ? 0 : errno;
    }
    return mount("/dev/null", step->target, NULL, MS_BIND, NULL) == 0 ? 0 : errno;
}

int clinux_raise_loopback(void) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno;
    struct ifreq request = {.ifr_name = "lo"};
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int error = ioctl(descriptor, SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
    close(descriptor);
    return error;
}

static int make_link(struct clinux_step *step) {
    return symlink(step->source, step->target) == 0 || errno == EEXIST ? 0 : errno;
}

static int open_folder(struct clinux_step *step, int enters) {
    int folder = clinux_open_target(step, 0);
    if (folder < 0) return errno;
    int error = enters && fchdir(folder) != 0 ? errno : 0;
    close(folder);
    return error;
}

int clinux_run_step(struct clinux_launch *launch, struct clinux_step *step) {
    switch (step->kind) {
    case CLINUX_PRIVATE: return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : errno;
    case CLINUX_CLONE: return clone_tree(launch, step);
    case CLINUX_NEW: return new_file_system(launch, step);
    case CLINUX_OVERLAY: return (launch->slots[step->slot] = clinux_overlay(step)) >= 0 ? 0 : errno;
    case CLINUX_STAGE:
        return mount("tmpfs", step->target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, step->data) == 0 ? 0 : errno;
    case CLINUX_STAGED_FILE: return stage_file(launch, step);
    case CLINUX_ROOT: return change_root(launch, step);
    case CLINUX_ATTACH: return attach(launch, step);
    case CLINUX_MOUNT: return mount_new(step);
    case CLINUX_LINK: return make_link(step);
    case CLINUX_FOLDER: return open_folder(step, 0);
    case CLINUX_WORKDIR: return open_folder(step, 1);
    case CLINUX_MASK: return mask(step);
    case CLINUX_READ_ONLY: return make_read_only(step->target, step->flags);
    case CLINUX_ROOT_READ_ONLY: return restrict_path("/", CLINUX_RDONLY);
    case CLINUX_HOSTNAME: return sethostname(step->source, strlen(step->source)) == 0 ? 0 : errno;
    case CLINUX_LOOPBACK: return clinux_raise_loopback();
    case CLINUX_CHROOT: return chroot(step->target) == 0 && chdir("/") == 0 ? 0 : errno;
    case CLINUX_JOIN:
        return setns((int)step->size, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) == 0 ? 0 : errno;
    default: return ENOSYS;
    }
}
