// SPDX-License-Identifier: Apache-2.0
// Starting one process in namespaces of its own.
//
// The caller prepares everything; the child only makes system calls, for it shares the caller's memory
// (CLONE_VM | CLONE_VFORK) until it executes its program, and other threads of the caller may hold any lock.
#ifndef CLINUX_LAUNCH_H
#define CLINUX_LAUNCH_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/// What one step of the child's way to its program does.
enum clinux_kind {
    /// Makes all mounts private, so that nothing the child mounts is seen outside.
    CLINUX_PRIVATE = 1,
    /// Opens `source` as a mount that hangs nowhere yet, and keeps it in `slot`.
    CLINUX_CLONE,
    /// Makes a new file system of type `source` in `slot`; for those that the kernel gives out only where the caller
    /// can see all of another one of the kind, and so before the root is changed.
    CLINUX_NEW,
    /// Makes an overlay of `list` (top first), `source` (upper) and `data` (work) in `slot`; `target` is a folder.
    CLINUX_OVERLAY,
    /// Mounts a tmpfs at `target`, where `file` steps may lie until the root is changed.
    CLINUX_STAGE,
    /// Writes `data` to the file `source`, then keeps it as a mount in `slot`.
    CLINUX_STAGED_FILE,
    /// Makes the mount in `slot` the root, by way of the folder `target`.
    CLINUX_ROOT,
    /// Hangs the mount in `slot` at `target`, which is made where it is missing.
    CLINUX_ATTACH,
    /// Mounts a file system of type `source` with the options `data` at `target`, which is made where it is missing.
    CLINUX_MOUNT,
    /// Makes a link at `target` that leads to `source`.
    CLINUX_LINK,
    /// Makes the folder `target`, and those above it.
    CLINUX_FOLDER,
    /// Makes the folder `target` and enters it; new folders belong to `uid` and `gid`.
    CLINUX_WORKDIR,
    /// Hides `target`: a file behind the null device, a folder behind the empty folder in `slot`.
    CLINUX_MASK,
    /// Makes `target` and what is mounted beneath read-only.
    CLINUX_READ_ONLY,
    /// Makes the root read-only, but not what is mounted beneath.
    CLINUX_ROOT_READ_ONLY,
    /// Sets the name of the host to `source`.
    CLINUX_HOSTNAME,
    /// Brings the loopback interface up.
    CLINUX_LOOPBACK,
    /// Changes the root to the folder `target`, in no namespace of its own.
    CLINUX_CHROOT,
    /// Enters the mounts, the names and the network of the process whose descriptor is `size`.
    CLINUX_JOIN,
};

/// The step may fail without harm.
#define CLINUX_OPTIONAL 1u
/// With what is mounted beneath.
#define CLINUX_RECURSIVE 2u
/// Attributes of a mount.
#define CLINUX_RDONLY 4u
#define CLINUX_NOSUID 8u
#define CLINUX_NODEV 16u
#define CLINUX_NOEXEC 32u
/// The overlay lies in a user namespace: attributes are `user.overlay.*`.
#define CLINUX_USERXATTR 64u
/// The overlay need not outlive a loss of power.
#define CLINUX_VOLATILE 128u

/// The room for a path that the child writes.
#define CLINUX_PATH 4096
/// The room for the beginning of a program.
#define CLINUX_HEADER 512

/// A mount point that was not there before.
struct clinux_made {
    /// Where the topmost new name lies, in the new root; empty where nothing was made. Room for CLINUX_PATH bytes.
    char *top;
    /// The mount point itself. Room for CLINUX_PATH bytes.
    char *leaf;
    /// When the folder above the topmost name was changed, before and after.
    struct timespec before, after;
};

/// One step of the child's way to its program.
struct clinux_step {
    int kind;
    unsigned flags;
    int slot;
    unsigned mode, uid, gid;
    const char *source, *target, *data;
    size_t size;
    const char *const *list;
    size_t count;
    /// Filled by the child where the step makes a mount point; may be null.
    struct clinux_made *made;
};

/// A limit of resources: `RLIMIT_*`.
struct clinux_limit {
    int resource;
    uint64_t soft, hard;
};

/// Where the child was when something failed.
enum clinux_stage {
    CLINUX_AT_NOTHING = 0,
    CLINUX_AT_CGROUP,
    CLINUX_AT_STEP,
    CLINUX_AT_TERMINAL,
    CLINUX_AT_STREAMS,
    CLINUX_AT_LIMIT,
    CLINUX_AT_FILTER,
    CLINUX_AT_CAPABILITIES,
    CLINUX_AT_GROUPS,
    CLINUX_AT_GROUP,
    CLINUX_AT_USER,
    CLINUX_AT_EXEC,
};

/// A process to start, and what came of it.
struct clinux_launch {
    /// `CLONE_NEW*`.
    unsigned long namespaces;
    struct clinux_step *steps;
    size_t step_count;
    int *slots;

    /// Descriptors for standard input, output and errors; unused where `terminal` is one.
    int streams[3];
    /// A socket that the other side of a new terminal is sent to; -1 for none.
    int terminal;
    /// Descriptors of `cgroup.procs` files to join.
    const int *groups_to_join;
    size_t group_count;

    /// The places where the program may lie, in order.
    const char *const *candidates;
    char *const *arguments;
    char *const *environment;

    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    /// Negative where groups are left as they are.
    int groups_count;
    /// The bits of the capabilities kept; with `keeps_ambient` also for users that are not root.
    uint64_t capabilities;
    int keeps_ambient;
    /// Whether losing rights that one may not lose (a bounding set without CAP_SETPCAP) is passed over.
    int is_lenient;
    int no_new_privileges;
    /// The filter of system calls: `struct sock_filter`s; null for none.
    const void *filter;
    unsigned short filter_length;

    /// The socket of the warden that kills the child when the caller is killed, or -1; and the child's number there.
    int warden;
    uint64_t ward;

    const struct clinux_limit *limits;
    size_t limit_count;

    // Filled by the call.
    pid_t pid;
    int pidfd;
    enum clinux_stage failed_at;
    size_t failed_step;
    int error;
    /// For CLINUX_AT_EXEC: the file that could not be executed (room for CLINUX_PATH bytes), and how it begins (room
    /// for CLINUX_HEADER bytes). Pointers, as Swift takes minutes to import long arrays.
    char *program;
    char *header;
    ssize_t header_size;
};

/// Starts a process.
///
/// Returns 0 where it runs, or the error's number; `failed_at` tells the child's failures from those of clone itself
/// (CLINUX_AT_NOTHING). A child that failed has been waited for.
int clinux_launch(struct clinux_launch *launch);

/// Takes over the settings that `CLONE_NEW*` stand for, by name, as Swift can't see the macros.
unsigned long clinux_namespaces(int has_network, int has_cgroup);

/// Gives the calling thread, and processes that it starts from now on, a network of their own with nothing but loopback.
///
/// Returns 0 or the error's number.
int clinux_enter_network(void);

/// Has processes that the calling thread starts from now on be numbered among those of another process; such a thread
/// can start no more threads.
///
/// Returns a descriptor of the process for a step of CLINUX_JOIN, or -1 with errno.
int clinux_join_processes(pid_t process);

/// Signals a process by its descriptor; returns 0 or the error's number.
int clinux_signal(int pidfd, int signal);

/// Receives a descriptor from a socket; returns it, or -1.
int clinux_receive_descriptor(int socket);

/// Sends a descriptor and a number through a socket; returns 0 or the error's number.
int clinux_send_descriptor(int socket, int descriptor, uint64_t number);

/// Starts a process that kills others once this one has ended, however it ended; returns a socket, or -1.
///
/// A number sent with a process's descriptor has it watched, the number alone has it forgotten.
int clinux_start_warden(void);

/// Makes a pipe whose ends no program inherits; returns 0 or the error's number.
int clinux_pipe(int ends[2]);
#endif
