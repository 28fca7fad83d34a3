from __future__ import annotations

import re
from pathlib import Path

import pytest

from coracle.runtime import seccomp
from coracle.runtime.api import DEFAULT_CAPABILITIES

# In the tables of some kernel, in none of ours: they answer ENOSYS by themselves.
NEVER_BUILT = {
    "afs_syscall",
    "create_module",
    "get_kernel_syms",
    "getpmsg",
    "putpmsg",
    "query_module",
    "security",
    "tuxcall",
    "vserver",
}


def answers(capabilities, name):
    """Every rule about a call, as (action, errno, arguments)."""
    rules = seccomp.profile(capabilities)["syscalls"]
    return [(r["action"], r.get("errnoRet"), r.get("args")) for r in rules if name in r["names"]]


def test_every_list_names_a_call_once():
    lists = [*seccomp.ALLOWED, *seccomp.REFUSED, *seccomp.BY_ARGUMENT]
    assert len(lists) == len(set(lists))


@pytest.mark.parametrize("capability", sorted(seccomp.GATED))
def test_what_a_capability_opens_is_closed_without_it(capability):
    for name in seccomp.GATED[capability]:
        assert name not in seccomp.ALLOWED
        assert name not in seccomp.REFUSED
        assert ("SCMP_ACT_ALLOW", None, None) in answers([capability], name)
        assert ("SCMP_ACT_ALLOW", None, None) not in answers([], name)


def test_no_call_has_two_unconditional_answers():
    for capabilities in ((), DEFAULT_CAPABILITIES, tuple(seccomp.GATED)):
        for rule in seccomp.profile(capabilities)["syscalls"]:
            for name in rule["names"]:
                found = answers(capabilities, name)
                assert len(found) == 1 or all(arguments for _, _, arguments in found), name


def test_families_are_all_but_two():
    def allowed(family):
        return any(family & mask == value for mask, value in seccomp._FAMILIES)

    assert [family for family in range(48) if not allowed(family)] == [seccomp.AF_ALG, seccomp.AF_VSOCK]
    assert not allowed(48)


def test_a_profile_is_made_once():
    assert seccomp.profile(DEFAULT_CAPABILITIES) is seccomp.profile(tuple(reversed(DEFAULT_CAPABILITIES)))


@pytest.mark.parametrize("header", ["x86_64-linux-gnu/asm/unistd_64.h", "asm-generic/unistd.h"])
def test_no_known_call_was_forgotten(header):
    """A call that is on no list is one we have not thought about."""
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip("the kernel's headers are not installed; the other machine's are looked at where they are")
    known = set(re.findall(r"^#define __NR_(\w+)\s+\d+", path.read_text(), re.MULTILINE))
    thought_of = {*seccomp.ALLOWED, *seccomp.REFUSED, *seccomp.BY_ARGUMENT, *NEVER_BUILT}
    thought_of |= {name for names in seccomp.GATED.values() for name in names}
    assert known - thought_of - {"syscalls", "arch_specific_syscall"} - {n for n in known if n.endswith("_time64")} - {
        "clock_gettime64", "clock_settime64", "clock_adjtime64", "timer_gettime64", "timer_settime64",
        "timerfd_gettime64", "timerfd_settime64", "sync_file_range2",
    } == set()  # fmt: skip
