"""DNS messages: bytes in, bytes out, as much as a name server of a cloud needs.

    question = read_question(datagram)                       what is asked
    answer(question, records, ...)                           a whole answer, truncated to what the asker can take
    read_answers(message), lifetime_s(message)               what another server said

Names are lower-case texts without the last dot.  The question is sent back as it came, so that an asker who mixes upper
and lower case (as a guard against forged answers) finds its own spelling.

Source: RFC 1035 sections 3 and 4; RFC 2308 (negative answers); RFC 2782 (SRV); RFC 6891 (EDNS).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
IN = 1

NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = range(6)

PLAIN_LIMIT_BYTES = 512  # of a datagram without EDNS
LIMIT_BYTES = 1232  # what fits an IPv6 minimum MTU: the largest datagram sent, as agreed on DNS flag day 2020
STREAM_LIMIT_BYTES = 65_535

_HEADER = struct.Struct(">HHHHHH")
_FIXED = struct.Struct(">HHIH")  # type, class, time to live, length of the data
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _WANTED, _AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
_MOST_JUMPS = 32


class Unreadable(ValueError):
    """Not a DNS message, or one with more than one question.  `id` is -1 where not even that could be read."""

    def __init__(self, message: str, id: int = -1) -> None:
        super().__init__(message)
        self.id = id


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.  `spelled` is the question section as sent; `limit_bytes` what the asker takes in a datagram."""

    id: int
    name: str
    type: int
    cls: int
    opcode: int
    recursion_wanted: bool
    spelled: bytes
    limit_bytes: int
    edns: bool


class Record(NamedTuple):
    """One resource record.  `data` is encoded, without compressed names."""

    name: str
    type: int
    data: bytes
    ttl_s: int


def a(name: str, address: IPv4Address, ttl_s: int) -> Record:
    return Record(name, A, address.packed, ttl_s)


def aaaa(name: str, address: IPv6Address, ttl_s: int) -> Record:
    return Record(name, AAAA, address.packed, ttl_s)


def srv(name: str, target: str, port: int, ttl_s: int, priority: int = 0, weight: int = 100) -> Record:  # noqa: PLR0917
    return Record(name, SRV, struct.pack(">HHH", priority, weight, port) + encode_name(target), ttl_s)


def cname(name: str, target: str, ttl_s: int) -> Record:
    return Record(name, CNAME, encode_name(target), ttl_s)


def ptr(name: str, target: str, ttl_s: int) -> Record:
    return Record(name, PTR, encode_name(target), ttl_s)


def txt(name: str, text: str, ttl_s: int) -> Record:
    """`text`: at most 255 bytes."""
    data = text.encode()
    return Record(name, TXT, bytes([len(data)]) + data, ttl_s)


def soa(zone: str, serial: int, ttl_s: int) -> Record:
    """The start of a zone, as it goes with negative answers; `ttl_s` is how long those may be kept."""
    mail, server = encode_name(f"hostmaster.{zone}"), encode_name(f"ns.dns.{zone}")
    return Record(
        zone, SOA, server + mail + struct.pack(">IIIII", serial & 0xFFFFFFFF, 7200, 1800, 86400, ttl_s), ttl_s
    )


def reverse_name(address: IPv4Address | IPv6Address) -> str:
    """10.32.0.5 -> 5.0.32.10.in-addr.arpa"""
    return address.reverse_pointer


# -- reading ---------------------------------------------------------------------------------------------------------


def read_question(message: bytes) -> Question:
    """Raises Unreadable."""
    if len(message) < _HEADER.size:
        raise Unreadable("shorter than a header")
    id, flags, questions, _answers, _authorities, additionals = _HEADER.unpack_from(message)
    if flags & _RESPONSE:
        raise Unreadable("an answer, not a question")
    if questions != 1:
        raise Unreadable(f"{questions} questions", id)
    try:
        name, end = _read_name(message, _HEADER.size)
        type, cls = struct.unpack_from(">HH", message, end)
        limit = _edns_limit(message, end + 4) if additionals else None
    except (struct.error, IndexError, Unreadable) as error:
        raise Unreadable(str(error) or "cut off", id) from error
    spelled = message[_HEADER.size : end + 4]
    taken = PLAIN_LIMIT_BYTES if limit is None else min(max(limit, PLAIN_LIMIT_BYTES), LIMIT_BYTES)
    opcode = flags >> 11 & 0xF
    return Question(id, name, type, cls, opcode, bool(flags & _WANTED), spelled, taken, limit is not None)


def read_answers(message: bytes) -> tuple[int, list[Record]]:
    """The response code and the answer section of a message; of data that may hold names, only CNAME is unpacked.

    Raises: Unreadable.
    """
    try:
        code = _HEADER.unpack_from(message)[1] & 0xF
        return code, [record for section, record in _records(message) if section == 0]
    except (struct.error, IndexError) as error:
        raise Unreadable("cut off") from error


def lifetime_s(message: bytes) -> int:
    """How long an answer may be kept: its shortest time to live; 0 where it has no records.  Raises Unreadable."""
    try:
        return min((r.ttl_s for _section, r in _records(message) if r.type != OPT), default=0)
    except (struct.error, IndexError) as error:
        raise Unreadable("cut off") from error


def code_of(message: bytes) -> int:
    """The response code of a message of at least a header's length."""
    return message[3] & 0xF


def is_truncated(message: bytes) -> bool:
    return bool(message[2] & _TRUNCATED >> 8)


def answers_to(message: bytes, question: bytes) -> bool:
    """Whether `message` is an answer to the query message `question`: same id, same question."""
    if len(message) < _HEADER.size or message[:2] != question[:2] or not message[2] & 0x80:
        return False
    try:
        end = _read_name(question, _HEADER.size)[1] + 4
    except (Unreadable, IndexError):
        return False
    return message[_HEADER.size : end].lower() == question[_HEADER.size : end].lower()


def _records(message: bytes) -> Iterator[tuple[int, Record]]:
    """Every record with its section: 0 answers, 1 authorities, 2 additional."""
    _id, _flags, questions, *counts = _HEADER.unpack_from(message)
    at = _HEADER.size
    for _ in range(questions):
        at = _read_name(message, at)[1] + 4
    for section, count in enumerate(counts):
        for _ in range(count):
            name, at = _read_name(message, at)
            type, _cls, ttl_s, length = _FIXED.unpack_from(message, at)
            at += _FIXED.size
            data = message[at : at + length]
            if len(data) != length:
                raise Unreadable("cut off")
            if type == CNAME:
                data = encode_name(_read_name(message, at)[0])
            yield section, Record(name, type, data, ttl_s)
            at += length


def _edns_limit(message: bytes, at: int) -> int | None:
    """The datagram size of an OPT record that directly follows the question (where every asker puts it)."""
    if message[at] != 0:
        return None
    type, limit = struct.unpack_from(">HH", message, at + 1)
    return int(limit) if type == OPT else None


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    """A name that begins at `at`, possibly compressed, and where it ends.  Raises Unreadable, IndexError."""
    labels: list[str] = []
    end = -1
    for _ in range(128 + _MOST_JUMPS):
        length = message[at]
        if length == 0:
            name = ".".join(labels)
            if len(name) > 253:
                raise Unreadable("name too long")
            return name, end if end >= 0 else at + 1
        if length & 0xC0 == 0xC0:
            end = end if end >= 0 else at + 2
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length & 0xC0:
            raise Unreadable("unknown label type")
        else:
            label = message[at + 1 : at + 1 + length]
            if len(label) != length:
                raise Unreadable("cut off")
            labels.append(label.decode("latin-1").lower())
            at += 1 + length
    raise Unreadable("name does not end")


# -- writing ---------------------------------------------------------------------------------------------------------


def encode_name(name: str) -> bytes:
    """Raises ValueError where a label is empty or longer than 63 bytes, or the name longer than 253."""
    if not name:
        return b"\0"
    encoded = bytearray()
    for label in name.split("."):
        raw = label.encode("latin-1")
        if not 0 < len(raw) < 64:
            raise ValueError(f"not a label: {label!r}")
        encoded.append(len(raw))
        encoded += raw
    if len(encoded) > 254:
        raise ValueError(f"name too long: {name[:40]}...")
    encoded.append(0)
    return bytes(encoded)


def query(id: int, name: str, type: int) -> bytes:
    """A question to another server, which may look further."""
    return _HEADER.pack(id, _WANTED, 1, 0, 0, 0) + encode_name(name) + struct.pack(">HH", type, IN)


def answer(
    question: Question,
    answers: Sequence[Record] = (),
    *,
    code: int = NO_ERROR,
    authority: Sequence[Record] = (),
    additional: Sequence[Record] = (),
    limit_bytes: int = 0,
) -> bytes:
    """An authoritative answer.  `limit_bytes` 0: of a datagram, as the asker said.

    What does not fit is left out whole, and the answer marked so that the asker comes again by TCP.
    """
    limit = (limit_bytes or question.limit_bytes) - (11 if question.edns else 0)
    sections = (answers, authority, additional)
    body = b"".join(_encode(record, question) for records in sections for record in records)
    if _HEADER.size + len(question.spelled) + len(body) > limit:
        sections, body = (answers, authority, ()), b"".join(_encode(r, question) for r in (*answers, *authority))
    truncated = _HEADER.size + len(question.spelled) + len(body) > limit
    if truncated:
        sections, body = ((), (), ()), b""
    flags = _RESPONSE | _AUTHORITATIVE | _AVAILABLE | code | question.opcode << 11
    flags |= (_WANTED if question.recursion_wanted else 0) | (_TRUNCATED if truncated else 0)
    counts = [len(section) for section in sections]
    counts[2] += question.edns
    opt = b"\0" + _FIXED.pack(OPT, LIMIT_BYTES, 0, 0) if question.edns else b""
    return _HEADER.pack(question.id, flags, 1, *counts) + question.spelled + body + opt


def failure(id: int, code: int = FORMAT_ERROR) -> bytes:
    """An answer to something that could not be read."""
    return _HEADER.pack(id, _RESPONSE | code, 0, 0, 0, 0)


def with_id(message: bytes, id: int) -> bytes:
    return id.to_bytes(2) + message[2:]


def truncated(message: bytes, question: Question) -> bytes:
    """An answer with everything left out, for one that is too long for a datagram."""
    flags = int.from_bytes(message[2:4]) | _TRUNCATED
    return _HEADER.pack(question.id, flags, 1, 0, 0, 0) + question.spelled


def _encode(record: Record, question: Question) -> bytes:
    # Most records are of the name that was asked: two bytes point back at it (offset 12, after the header).
    name = b"\xc0\x0c" if record.name == question.name else encode_name(record.name)
    return name + _FIXED.pack(record.type, IN, record.ttl_s, len(record.data)) + record.data


def addresses(records: Iterable[Record]) -> list[IPv4Address]:
    return [IPv4Address(record.data) for record in records if record.type == A]
