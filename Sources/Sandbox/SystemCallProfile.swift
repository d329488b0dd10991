// SPDX-License-Identifier: Apache-2.0
internal import CSeccomp

/// Which system calls a step may make: Docker's default profile for the default capabilities.
///
/// Source: moby `profiles/seccomp/default.json`; what its conditions come to for the default capabilities, and for
/// kernels from 4.8 on, is written out here.
struct SystemCallProfile {
    /// A condition on an argument.
    struct Argument {
        let index: UInt32
        let comparison: scmp_compare
        let value: UInt64
        var second: UInt64 = 0

        /// The comparison as runtimes spell it.
        var name: String {
            switch comparison {
            case SCMP_CMP_LT: "SCMP_CMP_LT"
            case SCMP_CMP_GT: "SCMP_CMP_GT"
            case SCMP_CMP_MASKED_EQ: "SCMP_CMP_MASKED_EQ"
            default: "SCMP_CMP_EQ"
            }
        }
    }

    /// Calls that are allowed where all conditions hold, or answered with an error.
    struct Rule {
        let names: [String]
        var arguments: [Argument] = []
        var error: Int32?
    }

    let rules: [Rule]
    /// The machine's own architecture and those whose programs it runs besides, as runtimes spell them.
    let architectures: [String]

    #if arch(arm64)
    static let nativeArchitecture: UInt32 = 0xC000_00B7
    static let compatibleArchitecture: UInt32 = 0x4000_0028
    private static let names = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    private static let native = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"
    #else
    static let nativeArchitecture: UInt32 = 0xC000_003E
    static let compatibleArchitecture: UInt32 = 0x4000_0003
    private static let names = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    private static let native = "arch_prctl modify_ldt"
    #endif

    /// Docker's default profile.
    static let standard = SystemCallProfile(
        rules: plain + sockets + personalities + threads,
        architectures: names
    )

    private static let plain: [Rule] = [
        Rule(names: words(always)),
        Rule(names: words("process_vm_readv process_vm_writev ptrace chroot")),
        Rule(names: words(native)),
    ]

    /// Not AF_ALG (38), nor AF_VSOCK (40), which would reach the hypervisor.
    private static let sockets: [Rule] = [
        Rule(names: ["socket"], arguments: [Argument(index: 0, comparison: SCMP_CMP_LT, value: 38)]),
        Rule(names: ["socket"], arguments: [Argument(index: 0, comparison: SCMP_CMP_EQ, value: 39)]),
        Rule(names: ["socket"], arguments: [Argument(index: 0, comparison: SCMP_CMP_GT, value: 40)]),
    ]

    private static let personalities: [Rule] = ([0, 0x0008, 0x2_0000, 0x2_0008, 0xFFFF_FFFF] as [UInt64])
        .map { value in
            Rule(names: ["personality"], arguments: [Argument(index: 0, comparison: SCMP_CMP_EQ, value: value)])
        }

    /// No CLONE_NEW*; the flags of clone3 lie in memory, where a filter can't look, so C libraries fall back to clone.
    private static let threads: [Rule] = [
        Rule(names: ["clone"], arguments: [Argument(index: 0, comparison: SCMP_CMP_MASKED_EQ, value: 0x7E02_0000)]),
        Rule(names: ["clone3"], error: 38),
    ]

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }

    private static let always = """
        accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
        clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
        epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
        epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
        fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
        fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64
        fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
        futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid
        geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid
        getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list
        getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid getuid32 getxattr
        getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy
        io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill
        landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link
        linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat
        lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod
        mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
        mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv
        msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat
        openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
        ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64
        pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
        recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
        restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
        sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
        sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
        sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
        semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32
        setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid
        setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list
        setsid setsockopt set_thread_area set_tid_address setuid setuid32 setxattr setxattrat shmat shmctl
        shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair
        splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs
        sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
        timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
        timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe
        utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
        """
}
