// SPDX-License-Identifier: Apache-2.0
// A process that outlives this one by a moment, to end what it left running.
//
// The kernel can end a child with its parent (PR_SET_PDEATHSIG), but forgets that when the child executes a
// set-user-ID program such as sudo, or asks it to.
#define _GNU_SOURCE
#include "internal.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MOST_PROCESSES = 1024 };

struct ward {
    uint64_t number;
    int descriptor;
};

static void forget(struct ward *wards, uint64_t number) {
    for (int index = 0; index < MOST_PROCESSES; index += 1) {
        if (wards[index].descriptor < 0 || wards[index].number != number) continue;
        close(wards[index].descriptor);
        wards[index].descriptor = -1;
    }
}

static void keep(struct ward *wards, uint64_t number, int descriptor) {
    for (int index = 0; index < MOST_PROCESSES; index += 1) {
        if (wards[index].descriptor >= 0) continue;
        wards[index] = (struct ward){.number = number, .descriptor = descriptor};
        return;
    }
    close(descriptor);
}

static int receive(int socket, uint64_t *number, int *descriptor) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {.iov_base = number, .iov_len = sizeof *number};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count;
    while ((count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *descriptor = -1;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    return count == sizeof *number;
}

static void watch(int socket) {
    struct ward wards[MOST_PROCESSES];
    for (int index = 0; index < MOST_PROCESSES; index += 1) wards[index].descriptor = -1;
    uint64_t number;
    int descriptor;
    while (receive(socket, &number, &descriptor)) {
        if (descriptor >= 0) keep(wards, number, descriptor);
        else forget(wards, number);
    }
    for (int index = 0; index < MOST_PROCESSES; index += 1) {
        if (wards[index].descriptor >= 0) clinux_signal(wards[index].descriptor, SIGKILL);
    }
    _exit(0);
}

static pid_t warden_process;
static int warden_socket;

/// A program that ends by itself leaves no zombie, where the machine's first process takes none up.
static void end_warden(void) {
    close(warden_socket);
    while (waitpid(warden_process, NULL, 0) < 0 && errno == EINTR) {}
}

int clinux_start_warden(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    // Nothing of ours is used after the fork but the stack: other threads may hold any lock.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t warden = fork();
    if (warden == 0) {
        setsid();
        prctl(PR_SET_NAME, "coracle-warden");
        int socket = dup2(ends[1], 3);
        // No pipe or terminal of the caller may be held open by it.
        close(0), close(1), close(2);
        if (syscall(SYS_close_range, 4u, ~0u, 0) != 0) {
            for (int descriptor = 4; descriptor < 4096; descriptor += 1) close(descriptor);
        }
        watch(socket);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (warden < 0) {
        close(ends[0]);
        return -1;
    }
    warden_process = warden;
    warden_socket = ends[0];
    atexit(end_warden);
    return ends[0];
}
