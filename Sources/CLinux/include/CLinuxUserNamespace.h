// SPDX-License-Identifier: Apache-2.0
// Entering a user namespace, for as long as this process runs.
#ifndef CLINUX_USER_NAMESPACE_H
#define CLINUX_USER_NAMESPACE_H

/// How users and groups are mapped: by programs, by texts that are written from outside, or by ourselves.
struct clinux_mapping {
    /// `newuidmap` and `newgidmap` with their arguments; null for none. The first argument becomes the process's number.
    char *const *uid_command, *const *gid_command;
    /// What is written to uid_map and gid_map from outside, where there are no programs; null for nothing.
    const char *uid_text, *gid_text;
    /// What is written from inside where the others can't: one user, one group.
    const char *single_uid, *single_gid;
};

/// Where entering failed.
enum clinux_entry {
    CLINUX_ENTERED = 0,
    /// With one user and one group only; errno says why there are no more.
    CLINUX_ENTERED_SINGLE,
    /// Making the namespace: nothing has changed.
    CLINUX_ENTRY_UNSHARE,
    /// Mapping users or groups: this process has a namespace where nothing is mapped.
    CLINUX_ENTRY_MAP,
    /// Becoming root there, or making its mounts private.
    CLINUX_ENTRY_ROOT,
};

/// Enters a user and a mount namespace and becomes root there; only for a process with one thread.
enum clinux_entry clinux_enter_user_namespace(const struct clinux_mapping *mapping);

/// The same in a child that then ends: whether this would work, with nothing changed.
enum clinux_entry clinux_try_user_namespace(const struct clinux_mapping *mapping);
#endif
