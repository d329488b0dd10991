// SPDX-License-Identifier: Apache-2.0
// Overlays of any number of layers.
#define _GNU_SOURCE
#include "internal.h"
#include <sys/mount.h>

enum { MOST_LAYERS = 500 };

/// Writes a number behind a prefix; returns the end.
static char *number(char *end, const char *prefix, int value) {
    char digits[12];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    size_t length = strlen(prefix);
    memcpy(end, prefix, length);
    end += length;
    while (count > 0) *end++ = digits[--count];
    *end = 0;
    return end;
}

/// Sets a folder by its descriptor: paths would be limited to 255 bytes, and be seen in the step's mount table.
static int set_folder(int context, const char *key, int folder) {
    char path[40];
    number(path, "/proc/self/fd/", folder);
    return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, path, 0);
}

static int set_text(int context, const char *key, const char *value) {
    return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
}

/// The kernel's newer way (6.5): one call for each layer.
static int mount_by_layers(const struct clinux_step *step, const int *lowers, int upper, int work) {
    int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
    if (context < 0) return -1;
    int result = set_text(context, "source", "overlay");
    for (size_t index = 0; index < step->count && result == 0; index += 1) {
        result = set_folder(context, "lowerdir+", lowers[index]);
    }
    if (result == 0) result = set_folder(context, "upperdir", upper);
    if (result == 0) result = set_folder(context, "workdir", work);
    if (result == 0 && (step->flags & CLINUX_USERXATTR)) {
        // This alone means that directories are not redirected and content is not left behind.
        result = (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
    } else if (result == 0) {
        result = set_text(context, "redirect_dir", "off");
        // A kernel that does not know these does not do them either.
        if (result == 0) set_text(context, "index", "off"), set_text(context, "metacopy", "off");
    }
    if (result == 0 && (step->flags & CLINUX_VOLATILE)) {
        syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "volatile", NULL, 0);
    }
    if (result == 0) result = (int)syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    int mount = result == 0 ? (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0) : -1;
    int error = errno;
    close(context);
    errno = error;
    return mount;
}

/// The older way: one line of options, of at most a page, so layers are named by numbers in /proc/self/fd.
static int mount_by_options(const struct clinux_step *step, const int *lowers, int upper, int work) {
    char options[4096];
    char *end = stpcpy(options, "lowerdir=");
    for (size_t index = 0; index < step->count; index += 1) {
        if (end > options + 3900) return errno = E2BIG, -1;
        end = number(end, index == 0 ? "" : ":", lowers[index]);
    }
    end = number(number(end, ",upperdir=", upper), ",workdir=", work);
    char *required = end = stpcpy(end, step->flags & CLINUX_USERXATTR ? ",userxattr" : "");
    if (!(step->flags & CLINUX_USERXATTR)) end = stpcpy(end, ",redirect_dir=off,index=off,metacopy=off");
    if (step->flags & CLINUX_VOLATILE) stpcpy(end, ",volatile");
    if (chdir("/proc/self/fd") != 0) return -1;
    int result = mount("overlay", step->target, "overlay", 0, options);
    if (result != 0 && errno == EINVAL) {
        *required = 0;
        result = mount("overlay", step->target, "overlay", 0, options);
    }
    int error = errno;
    if (chdir("/") != 0) return -1;
    errno = error;
    return result != 0 ? -1 : sys_open_tree(AT_FDCWD, step->target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

int clinux_overlay(const struct clinux_step *step) {
    int lowers[MOST_LAYERS];
    size_t opened = 0;
    if (step->count > MOST_LAYERS) return errno = E2BIG, -1;
    int upper = open(step->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int work = upper < 0 ? -1 : open(step->data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = work < 0 ? errno : 0;
    for (; opened < step->count && error == 0; opened += 1) {
        lowers[opened] = open(step->list[opened], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (lowers[opened] < 0) error = errno;
    }
    int mount = -1;
    if (error == 0) {
        mount = mount_by_layers(step, lowers, upper, work);
        if (mount < 0 && (errno == EINVAL || errno == ENOSYS)) mount = mount_by_options(step, lowers, upper, work);
        error = errno;
    }
    while (opened > 0) close(lowers[--opened]);
    close(upper);
    close(work);
    errno = error;
    return mount;
}
