// SPDX-License-Identifier: Apache-2.0
// Who the program runs as, and what it may do.
#define _GNU_SOURCE
#include "internal.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/// Beyond CAP_LAST_CAP the kernel answers EINVAL, so all 64 bits may be asked for.
static int drop_bounding(const struct clinux_launch *launch) {
    for (unsigned long capability = 0; capability < 64; capability += 1) {
        if (launch->capabilities >> capability & 1) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno == EINVAL) return 0;
        if (!launch->is_lenient) return errno;
    }
    return 0;
}

static int set_capabilities(uint64_t bits, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)bits, .permitted = (uint32_t)bits, .inheritable = (uint32_t)inheritable},
        {.effective = (uint32_t)(bits >> 32), .permitted = (uint32_t)(bits >> 32),
         .inheritable = (uint32_t)(inheritable >> 32)},
    };
    return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

static uint64_t held_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, data) != 0) return 0;
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static int keep_capabilities(const struct clinux_launch *launch) {
    uint64_t bits = launch->capabilities & held_capabilities();
    int error = set_capabilities(bits, launch->keeps_ambient ? bits : 0);
    if (error != 0 || !launch->keeps_ambient) return error;
    for (unsigned long capability = 0; capability < 64; capability += 1) {
        if (bits >> capability & 1) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
    }
    return 0;
}

static int install_filter(const struct clinux_launch *launch) {
    struct sock_fprog program = {.len = launch->filter_length, .filter = (struct sock_filter *)launch->filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
}

enum clinux_stage clinux_become(struct clinux_launch *launch) {
    // Keys of the user who builds are not the step's.
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
    if (launch->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return CLINUX_AT_FILTER;
    if (launch->filter != NULL && (errno = install_filter(launch)) != 0) return CLINUX_AT_FILTER;
    if ((errno = drop_bounding(launch)) != 0) return CLINUX_AT_CAPABILITIES;
    if (launch->groups_count >= 0 && syscall(SYS_setgroups, launch->groups_count, launch->groups) != 0) {
        return CLINUX_AT_GROUPS;
    }
    // The C library's functions would have every thread of the caller follow; only this one may.
    if (syscall(SYS_setresgid, launch->gid, launch->gid, launch->gid) != 0) return CLINUX_AT_GROUP;
    if (launch->keeps_ambient) prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (syscall(SYS_setresuid, launch->uid, launch->uid, launch->uid) != 0) return CLINUX_AT_USER;
    if ((errno = keep_capabilities(launch)) != 0) return CLINUX_AT_CAPABILITIES;
    return CLINUX_AT_NOTHING;
}
