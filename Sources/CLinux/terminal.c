// SPDX-License-Identifier: Apache-2.0
// Terminals, and descriptors that pass through sockets.
#define _GNU_SOURCE
#include "internal.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

int clinux_send_descriptor(int socket, int descriptor, uint64_t number) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

int clinux_receive_descriptor(int socket) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    uint64_t number = 0;
    struct iovec bytes = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS) return -1;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
    return descriptor;
}

/// Before the program runs, so that it has its streams.
int clinux_open_terminal(struct clinux_launch *launch) {
    int ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ours < 0) return errno;
    int unlocked = 0;
    if (ioctl(ours, TIOCSPTLCK, &unlocked) != 0) return errno;
    int theirs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (theirs < 0) return errno;
    if (ioctl(theirs, TIOCSCTTY, 0) != 0) return errno;
    if (fchown(theirs, launch->uid, (gid_t)-1) != 0 && !launch->is_lenient) return errno;
    int error = clinux_send_descriptor(launch->terminal, ours, 0);
    close(ours);
    for (int index = 0; index < 3; index += 1) launch->streams[index] = theirs;
    return error;
}
