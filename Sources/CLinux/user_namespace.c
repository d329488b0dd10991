// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// The kernel takes at most 340 lines of three numbers.
enum { MOST_ARGUMENTS = 3 * 340 + 2 };

static int write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    ssize_t length = (ssize_t)strlen(text);
    int error = write(file, text, (size_t)length) == length ? 0 : errno;
    close(file);
    return error;
}

/// Maps from outside, as only those may who had the rights before; ends with the error's number.
static void map_from_outside(const struct clinux_mapping *mapping, int is_group, pid_t process) {
    char *const *command = is_group ? mapping->gid_command : mapping->uid_command;
    if (command == NULL) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", process, is_group ? "gid_map" : "uid_map");
        _exit(write_text(path, is_group ? mapping->gid_text : mapping->uid_text));
    }
    char number[16], *arguments[MOST_ARGUMENTS + 1];
    size_t count = 0;
    for (; command[count] != NULL && count < MOST_ARGUMENTS; count += 1) arguments[count] = command[count];
    arguments[count] = NULL;
    snprintf(number, sizeof number, "%d", process);
    arguments[1] = number;
    // What the program says goes nowhere: the caller falls back to one user, and says so.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int stream = 0; stream < 3 && null >= 0; stream += 1) dup2(null, stream);
    execv(arguments[0], arguments);
    _exit(errno);
}

/// A child that waits until `ready` is closed, then maps.
static pid_t start_mapper(const struct clinux_mapping *mapping, int is_group, const int ready[2]) {
    pid_t process = getpid();
    pid_t mapper = fork();
    if (mapper != 0) return mapper;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte;
    close(ready[1]);
    while (read(ready[0], &byte, 1) < 0 && errno == EINTR) {}
    map_from_outside(mapping, is_group, process);
    return 0;
}

static int finish_mapper(pid_t mapper) {
    int status = 0;
    if (mapper < 0) return EAGAIN;
    while (waitpid(mapper, &status, 0) < 0) {
        if (errno != EINTR) return errno;
    }
    return status == 0 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

/// Maps one user or group, which everybody may do for themselves.
static int map_single(const struct clinux_mapping *mapping, int is_group) {
    if (!is_group) return write_text("/proc/self/uid_map", mapping->single_uid);
    // Who may not set groups may not drop one that keeps them out of something either.
    int error = write_text("/proc/self/setgroups", "deny");
    return error != 0 ? error : write_text("/proc/self/gid_map", mapping->single_gid);
}

static int become_root(int is_single) {
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return errno;
    if (!is_single) setgroups(0, NULL);
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : errno;
}

enum clinux_entry clinux_enter_user_namespace(const struct clinux_mapping *mapping) {
    int ready[2] = {-1, -1};
    pid_t mappers[2] = {-1, -1};
    int is_outside = mapping->uid_command != NULL || mapping->uid_text != NULL;
    if (is_outside) {
        if (pipe2(ready, O_CLOEXEC) != 0) return CLINUX_ENTRY_UNSHARE;
        for (int index = 0; index < 2; index += 1) mappers[index] = start_mapper(mapping, index, ready);
    }
    int unshared = unshare(CLONE_NEWUSER | CLONE_NEWNS);
    int error = errno, reason = 0;
    for (int index = 0; index < 2 && unshared != 0; index += 1) {
        if (mappers[index] > 0) kill(mappers[index], SIGKILL);
    }
    for (int end = 0; end < 2 && is_outside; end += 1) close(ready[end]);
    for (int index = 0; index < 2; index += 1) {
        int mapped = is_outside ? finish_mapper(mappers[index]) : ENOENT;
        if (mapped == 0 || unshared != 0) continue;
        reason = mapped;
        mapped = map_single(mapping, index);
        if (mapped != 0) return errno = mapped, CLINUX_ENTRY_MAP;
    }
    if (unshared != 0) return errno = error, CLINUX_ENTRY_UNSHARE;
    error = become_root(reason != 0);
    if (error != 0) return errno = error, CLINUX_ENTRY_ROOT;
    errno = reason;
    return reason == 0 ? CLINUX_ENTERED : CLINUX_ENTERED_SINGLE;
}

enum clinux_entry clinux_try_user_namespace(const struct clinux_mapping *mapping) {
    int result[2];
    if (pipe2(result, O_CLOEXEC) != 0) return CLINUX_ENTRY_UNSHARE;
    pid_t child = fork();
    if (child == 0) {
        int answer[2] = {(int)clinux_enter_user_namespace(mapping), errno};
        _exit(write(result[1], answer, sizeof answer) == sizeof answer ? 0 : 1);
    }
    close(result[1]);
    int answer[2] = {CLINUX_ENTRY_UNSHARE, EAGAIN};
    if (child > 0) {
        while (read(result[0], answer, sizeof answer) < 0 && errno == EINTR) {}
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    close(result[0]);
    errno = answer[1];
    return (enum clinux_entry)answer[0];
}
