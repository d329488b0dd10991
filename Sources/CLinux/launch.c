// SPDX-License-Identifier: Apache-2.0
// The child's way from clone to its program.
#define _GNU_SOURCE
#include "internal.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { STACK_SIZE = 256 << 10 };

static void fail(struct clinux_launch *launch, enum clinux_stage stage, int error) {
    launch->failed_at = stage;
    launch->error = error;
    _exit(127);
}

/// A program starts with signals as they are by default, whatever this process does with them.
static void reset_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number += 1) {
        if (number != SIGKILL && number != SIGSTOP) sigaction(number, &action, NULL);
    }
}

/// Nothing but the standard streams passes to the program.
static void close_on_exec(void) {
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
    for (int descriptor = 3; descriptor < 4096; descriptor += 1) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

static int place_streams(struct clinux_launch *launch) {
    int copies[3];
    for (int index = 0; index < 3; index += 1) {
        copies[index] = fcntl(launch->streams[index], F_DUPFD_CLOEXEC, 3);
        if (copies[index] < 0) return errno;
    }
    for (int index = 0; index < 3; index += 1) {
        if (dup2(copies[index], index) < 0) return errno;
        struct stat status;
        // The program may open /dev/stdout, which asks for rights to the pipe itself.
        if (fstat(index, &status) == 0 && S_ISFIFO(status.st_mode)) {
            // What is read may be a pipe of somebody else, who keeps it.
            if (fchown(index, launch->uid, (gid_t)-1) != 0 && index > 0 && !launch->is_lenient && errno != EINVAL) {
                return errno;
            }
        }
    }
    return 0;
}

static void keep_header(struct clinux_launch *launch) {
    int file = open(launch->program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return;
    launch->header_size = read(file, launch->header, CLINUX_HEADER);
    close(file);
}

/// Executes a program, and waits where it is still open for writing: a process that was started while it was written has
/// a copy of the descriptor until it executes its own program. Returns what is wrong.
static int execute_when_free(const char *program, struct clinux_launch *launch) {
    execve(program, launch->arguments, launch->environment);
    for (int count = 0; errno == ETXTBSY && count < 200; count += 1) {
        // This process has copies, too, which others may wait for.
        if (count == 0) syscall(SYS_close_range, 3u, ~0u, 0u);
        struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        nanosleep(&pause, NULL);
        execve(program, launch->arguments, launch->environment);
    }
    return errno;
}

/// Tries the places where the program may lie, as a shell does.
static void execute(struct clinux_launch *launch) {
    int error = ENOENT;
    for (size_t index = 0; launch->candidates[index] != NULL; index += 1) {
        const char *candidate = launch->candidates[index];
        struct stat status;
        if (stat(candidate, &status) != 0) {
            if (errno == EACCES) error = EACCES;
            continue;
        }
        if (S_ISDIR(status.st_mode) || access(candidate, X_OK) != 0) {
            strncpy(launch->program, candidate, CLINUX_PATH - 1);
            error = EACCES;
            continue;
        }
        error = execute_when_free(candidate, launch);
        strncpy(launch->program, candidate, CLINUX_PATH - 1);
        keep_header(launch);
        break;
    }
    fail(launch, CLINUX_AT_EXEC, error);
}

static int child(void *context) {
    struct clinux_launch *launch = context;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // By the child itself: the caller may be killed before it runs again.
    int self = launch->warden >= 0 ? (int)syscall(SYS_pidfd_open, getpid(), 0) : -1;
    if (self >= 0) {
        clinux_send_descriptor(launch->warden, self, launch->ward);
        close(self);
    }
    for (size_t index = 0; index < launch->group_count; index += 1) {
        if (write(launch->groups_to_join[index], "0", 1) != 1) fail(launch, CLINUX_AT_CGROUP, errno);
    }
    umask(0);
    setsid();
    for (size_t index = 0; index < launch->step_count; index += 1) {
        struct clinux_step *step = &launch->steps[index];
        int error = clinux_run_step(launch, step);
        if (error != 0 && !(step->flags & CLINUX_OPTIONAL)) {
            launch->failed_step = index;
            fail(launch, CLINUX_AT_STEP, error);
        }
    }
    int error = launch->terminal >= 0 ? clinux_open_terminal(launch) : 0;
    if (error != 0) fail(launch, CLINUX_AT_TERMINAL, error);
    error = place_streams(launch);
    if (error != 0) fail(launch, CLINUX_AT_STREAMS, error);
    for (size_t index = 0; index < launch->limit_count; index += 1) {
        const struct clinux_limit *limit = &launch->limits[index];
        struct rlimit values = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
        launch->failed_step = index;
        if (setrlimit(limit->resource, &values) != 0) fail(launch, CLINUX_AT_LIMIT, errno);
    }
    umask(022);
    reset_signals();
    close_on_exec();
    enum clinux_stage stage = clinux_become(launch);
    if (stage != CLINUX_AT_NOTHING) fail(launch, stage, errno);
    // A change of user forgets it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute(launch);
    return 127;
}

/// A change of user in the child, which shares our memory, bars us from looking at our own /proc files.
static void stay_dumpable(void) {
    static atomic_int at_first = -1;
    int unknown = -1;
    atomic_compare_exchange_strong(&at_first, &unknown, prctl(PR_GET_DUMPABLE));
    if (atomic_load(&at_first) == 1) prctl(PR_SET_DUMPABLE, 1);
}

int clinux_launch(struct clinux_launch *launch) {
    launch->failed_at = CLINUX_AT_NOTHING;
    launch->error = 0;
    launch->header_size = 0;
    launch->program[0] = 0;
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return errno;
    stay_dumpable();
    // No handler of ours may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int flags = (int)(launch->namespaces | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD);
    launch->pid = clone(child, stack + STACK_SIZE, flags, launch, &launch->pidfd, NULL, NULL);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    stay_dumpable();
    munmap(stack, STACK_SIZE);
    if (launch->pid < 0) return error;
    if (launch->failed_at == CLINUX_AT_NOTHING) return 0;
    while (waitpid(launch->pid, NULL, __WALL) < 0 && errno == EINTR) {}
    close(launch->pidfd);
    return launch->error;
}

unsigned long clinux_namespaces(int has_network, int has_cgroup) {
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    return flags | (has_network ? CLONE_NEWNET : 0) | (has_cgroup ? CLONE_NEWCGROUP : 0);
}

int clinux_join_processes(pid_t process) {
    int descriptor = (int)syscall(SYS_pidfd_open, process, 0);
    if (descriptor < 0) return -1;
    if (setns(descriptor, CLONE_NEWPID) == 0) return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

int clinux_enter_network(void) {
    if (unshare(CLONE_NEWNET) != 0) return errno;
    return clinux_raise_loopback();
}

int clinux_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : errno;
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno; }
