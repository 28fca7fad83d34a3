import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.wire import dns

OPT_4096 = b"\0" + struct.pack(">HHIH", dns.OPT, 4096, 0, 0)
WEB = "web.default.svc.cluster.local"
TEN = IPv4Address("10.32.0.5")


def asked(name=WEB, type=dns.A, id=7, edns=False):
    message = dns.query(id, name, type)
    return message[:10] + b"\0\1" + message[12:] + OPT_4096 if edns else message


def test_a_question_is_read():
    question = dns.read_question(asked())
    assert (question.id, question.name, question.type, question.limit_bytes) == (7, WEB, dns.A, 512)
    assert question.recursion_wanted


def test_the_spelling_of_a_question_comes_back():
    message = asked().replace(b"web", b"wEb").replace(b"local", b"LOCAL")
    question = dns.read_question(message)
    answer = dns.answer(question, [dns.a(question.name, TEN, 5)])
    assert question.name == WEB
    assert answer[12 : 12 + len(question.spelled)] == message[12:]
    assert dns.answers_to(answer, message)


def test_an_answer_byte_by_byte():
    answer = dns.answer(dns.read_question(asked("a.b", id=0x1234)), [dns.a("a.b", TEN, 5)])
    assert answer.hex(" ") == (
        "12 34 85 80 00 01 00 01 00 00 00 00 "  # id; answer, authoritative, recursion wanted and available; counts
        "01 61 01 62 00 00 01 00 01 "  # a.b A IN
        "c0 0c 00 01 00 01 00 00 00 05 00 04 0a 20 00 05"  # the same name, A IN, 5 s, 4 bytes
    )


def test_a_datagram_that_would_be_too_long_is_marked_and_emptied():
    many = [dns.a(WEB, TEN + i, 5) for i in range(100)]
    short = dns.answer(dns.read_question(asked()), many)
    longer = dns.answer(dns.read_question(asked(edns=True)), many[:70])
    stream = dns.answer(dns.read_question(asked()), many, limit_bytes=dns.STREAM_LIMIT_BYTES)
    assert dns.is_truncated(short)
    assert dns.read_answers(short) == (0, [])
    assert not dns.is_truncated(longer)
    assert len(dns.read_answers(longer)[1]) == 70
    assert len(longer) <= dns.LIMIT_BYTES
    assert len(dns.read_answers(stream)[1]) == 100


def test_additional_records_are_left_out_before_answers_are():
    question = dns.read_question(asked(type=dns.SRV))
    many = [dns.a("pod", TEN + i, 5) for i in range(60)]
    answer = dns.answer(question, [dns.srv(WEB, "pod", 80, 5)], additional=many)
    assert not dns.is_truncated(answer)
    assert len(dns.read_answers(answer)[1]) == 1


def test_edns_is_answered_with_edns():
    with_it = dns.answer(dns.read_question(asked(edns=True)))
    without = dns.answer(dns.read_question(asked()))
    assert with_it.endswith(b"\0" + struct.pack(">HHIH", dns.OPT, dns.LIMIT_BYTES, 0, 0))
    assert with_it[10:12] == b"\0\1"
    assert without[10:12] == b"\0\0"


def test_answers_of_others_are_read_with_compressed_names():
    head = struct.pack(">HHHHHH", 9, 0x8180, 1, 2, 0, 0)
    question = dns.encode_name("www.example.com") + struct.pack(">HH", dns.A, 1)
    alias = b"\xc0\x0c" + struct.pack(">HHIH", dns.CNAME, 1, 60, 6) + b"\x03cdn\xc0\x10"
    address = b"\xc0\x2d" + struct.pack(">HHIH", dns.A, 1, 30, 4) + TEN.packed
    message = head + question + alias + address
    code, records = dns.read_answers(message)
    assert code == 0
    assert records[0] == dns.cname("www.example.com", "cdn.example.com", 60)
    assert dns.addresses(records) == [TEN]
    assert dns.lifetime_s(message) == 30


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="empty"),
        pytest.param(asked()[:20], id="cut off in the name"),
        pytest.param(asked()[:-1], id="cut off in the class"),
        pytest.param(asked()[:4] + b"\0\2" + asked()[6:], id="two questions"),
        pytest.param(asked()[:2] + b"\x80\0" + asked()[4:], id="an answer"),
        pytest.param(asked()[:12] + b"\xc0\x0c\0\1\0\1", id="a name that points at itself"),
        pytest.param(asked()[:12] + b"\x80abc\0\0\1\0\1", id="an unknown sort of label"),
        pytest.param(asked()[:12] + b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", id="too long"),
    ],
)
def test_what_is_not_a_question_is_refused(message):
    with pytest.raises(dns.Unreadable):
        dns.read_question(message)


@given(st.binary(max_size=600))
def test_no_bytes_do_worse_than_being_refused(message):
    for read in (dns.read_question, dns.read_answers, dns.lifetime_s):
        try:
            read(message)
        except dns.Unreadable:
            continue


@given(st.binary(max_size=80))
def test_no_tail_does_worse_than_being_refused(tail):
    test_no_bytes_do_worse_than_being_refused.hypothesis.inner_test(asked()[:12] + tail)


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 60] * 5)])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match=r"label|too long"):
        dns.encode_name(name)


def test_another_question_is_not_answered():
    answer = dns.answer(dns.read_question(asked("a.b")))
    assert not dns.answers_to(answer, asked("a.c"))
    assert not dns.answers_to(answer, asked("a.b", id=8))
