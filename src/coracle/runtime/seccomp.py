"""Which system calls a container may make: a profile of our own, by what they are for.

Four answers, so that old software is refused as it is used to and new software finds its way:

    allowed    what ordinary programs need
    gated      only with a capability that makes it the container's business anyway (mount with CAP_SYS_ADMIN)
    EPERM      known, and refused: it reaches the kernel's insides or other people's things
    ENOSYS     everything else, that is calls newer than this list: programs then take their older path, where EPERM
               would make them fail

Only the machine's own architecture is served: a call by the 32-bit or x32 gates ends the program.  Those gates would
offer `socketcall`, whose arguments a filter cannot see, and double the surface for nearly no image of today.

Arguments are compared in their low 32 bits where the kernel reads an int: a filter sees 64, and a caller may put
anything in the upper half (socket(1<<32 | AF_ALG) must not pass for another family).

Pure: a dictionary in the OCI runtime specification's words comes out.  It is read-only and shared.
Source: docker.md 6.1 and 6.4 (behaviour); seccomp(2); OCI Runtime Specification, "Seccomp".
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Rule = dict[str, Any]

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97

# long: one table of the calls of a kernel, by what they are for
FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr file_getattr
    file_setattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents
    getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr
    link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat
    name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead
    readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat
    splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime
    utimensat utimes vmsplice write writev cachestat listmount statmount
"""
MEMORY = """
    brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap
    mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
"""
PROCESSES = """
    arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getegid geteuid getgid
    getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr modify_ldt pause pidfd_open pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev
    ptrace restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
    setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack signalfd
    signalfd4 tgkill tkill vfork wait4 waitid
"""
SCHEDULING_AND_TIME = """
    adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getcpu getitimer gettimeofday ioprio_get
    ioprio_set nanosleep sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times
"""
TALKING = """
    accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake getpeername getrandom
    getsockname getsockopt io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit listen mq_getsetattr
    mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 poll ppoll pselect6
    recvfrom recvmmsg recvmsg select semctl semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl
    shmdt shmget shutdown socketpair sysinfo uname
"""
ALLOWED = tuple(" ".join((FILES, MEMORY, PROCESSES, SCHEDULING_AND_TIME, TALKING)).split())

ADMINISTRATION = """
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
    open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare
"""

# Capability -> the calls that it opens.
GATED: Mapping[str, tuple[str, ...]] = {
    "CAP_BPF": ("bpf",),
    "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
    "CAP_PERFMON": ("perf_event_open",),
    "CAP_SYS_ADMIN": tuple(ADMINISTRATION.split()),
    "CAP_SYS_BOOT": ("reboot",),
    "CAP_SYS_CHROOT": ("chroot",),
    "CAP_SYS_MODULE": ("delete_module", "finit_module", "init_module"),
    "CAP_SYS_NICE": ("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
    "CAP_SYS_PACCT": ("acct",),
    "CAP_SYS_PTRACE": ("kcmp", "pidfd_getfd", "process_madvise"),
    "CAP_SYS_RAWIO": ("ioperm", "iopl"),
    "CAP_SYS_TIME": ("clock_settime", "settimeofday"),
    "CAP_SYS_TTY_CONFIG": ("vhangup",),
    "CAP_SYSLOG": ("syslog",),
}

# Known, and for nobody: keys are not in a namespace, io_uring passes by filters, the rest is the host's.
_NOBODY = """
    _sysctl add_key io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl migrate_pages
    move_pages nfsservctl pivot_root request_key swapoff swapon sysfs uselib userfaultfd ustat
"""
REFUSED = tuple(_NOBODY.split())

# Answered by their arguments, below.
BY_ARGUMENT = ("clone", "clone3", "personality", "socket")

_NEW_NAMESPACE_FLAGS = (0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00020000)
_ALL_NEW_NAMESPACE_FLAGS = 0x7E020000
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # the usual, 32 bits, an old version number, both, a question

AF_ALG, AF_VSOCK = 38, 40
# Every family but these two, as (mask, value) of disjoint ranges: 0-31, 32-35, 36-37, 39, 41, 42-43, 44-47.
_FAMILIES = (
    (0xFFFFFFE0, 0), (0xFFFFFFFC, 32), (0xFFFFFFFE, 36), (0xFFFFFFFF, 39), (0xFFFFFFFF, 41), (0xFFFFFFFE, 42),
    (0xFFFFFFFC, 44),
)  # fmt: skip


def profile(capabilities: Collection[str]) -> Mapping[str, Any]:
    """The filter for a container with these capabilities, as `linux.seccomp` of config.json."""
    return _profile(frozenset(capabilities) & frozenset(GATED))


@functools.lru_cache(maxsize=64)
def _profile(capabilities: frozenset[str]) -> Mapping[str, Any]:
    opened = {name for capability in capabilities for name in GATED[capability]}
    gated = {name for names in GATED.values() for name in names}
    refused = sorted({*REFUSED, *gated} - opened - set(BY_ARGUMENT))
    rules = [
        _allow(sorted({*ALLOWED, *opened})),
        _refuse(refused, EPERM),
        *(_allow(["personality"], _low(0xFFFFFFFF, value)) for value in _PERSONALITIES),
        *(_allow(["socket"], _low(mask, value)) for mask, value in _FAMILIES),
        *(_refuse(["socket"], EAFNOSUPPORT, _low(0xFFFFFFFF, family)) for family in (AF_ALG, AF_VSOCK)),
    ]
    if "clone" not in opened:  # clone3's flags are in memory, where a filter cannot look: it stays unknown
        rules.append(_allow(["clone"], _low(_ALL_NEW_NAMESPACE_FLAGS, 0)))
        rules += [_refuse(["clone"], EPERM, _low(flag, flag)) for flag in _NEW_NAMESPACE_FLAGS]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": ENOSYS, "syscalls": rules}


def _allow(names: Sequence[str], *arguments: Rule) -> Rule:
    return _rule(names, "SCMP_ACT_ALLOW", arguments)


def _refuse(names: Sequence[str], errno: int, *arguments: Rule) -> Rule:
    return {**_rule(names, "SCMP_ACT_ERRNO", arguments), "errnoRet": errno}


def _rule(names: Sequence[str], action: str, arguments: Sequence[Rule]) -> Rule:
    rule: Rule = {"names": list(names), "action": action}
    return {**rule, "args": list(arguments)} if arguments else rule


def _low(mask: int, value: int) -> Rule:
    """The first argument, of which only the bits in `mask` count, is `value`."""
    return {"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
