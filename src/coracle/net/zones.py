"""What names stand for: published records by source, and the answers they give.  Pure.

A source ("kube", "docker") publishes its whole set under its own name, or changes single names of it; several sources
may speak of one name.  Records may be scoped to one network (Docker's container names): they are seen by askers of that
network only, before the records everybody sees; names of addresses (PTR) after them.

Inside a zone of ours, what was not published does not exist; elsewhere it is somebody else's to answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from coracle.wire import dns
from coracle.wire.dns import Question, Record

TTL_S = 5  # short: pods come and go; as CoreDNS for cluster names
_MOST_ALIASES = 8
_REVERSE = (".in-addr.arpa", ".ip6.arpa")


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record: where a named port of a service is."""

    target: str
    port: int
    priority: int = 0
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Alias:
    """A CNAME record: another name for `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """A PTR record: the name of an address.  Published under `reverse_name(address)`."""

    target: str


@dataclass(frozen=True, slots=True)
class Text:
    """A TXT record; at most 255 bytes."""

    text: str


Entry = IPv4Address | IPv6Address | Service | Alias | Pointer | Text
Records = Mapping[str, Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a question finds.  `elsewhere`: the records end in an alias that is not ours to follow."""

    code: int = dns.NO_ERROR
    records: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    elsewhere: str = ""


@dataclass(slots=True)
class _Table:
    """Names of one scope.  `above` counts the names below each name, so that a bare `svc.cluster.local` exists."""

    names: dict[str, dict[str, tuple[Entry, ...]]] = field(default_factory=dict)
    above: Counter[str] = field(default_factory=Counter)

    def put(self, source: str, name: str, entries: Sequence[Entry]) -> None:
        by_source = self.names.get(name)
        if by_source is None:
            by_source = self.names[name] = {}
            self.above.update(_parents(name))
        by_source[source] = tuple(entries)

    def drop(self, source: str, name: str) -> None:
        by_source = self.names.get(name)
        if by_source is None or by_source.pop(source, None) is None or by_source:
            return
        del self.names[name]
        for parent in _parents(name):
            self.above[parent] -= 1
            if not self.above[parent]:
                del self.above[parent]


class Zones:
    """All published names.  `zones`: the domains in which nobody else knows better."""

    def __init__(self, zones: Iterable[str] = ("cluster.local",), ttl_s: int = TTL_S) -> None:
        self._zones = tuple(zone.lower().strip(".") for zone in zones)
        self._ttl_s = ttl_s
        self._tables: dict[str | None, _Table] = {}
        self._published: dict[tuple[str, str | None], set[str]] = {}
        self._serial = 1
        self._turn = 0

    def publish(self, source: str, records: Records, network: str | None = None) -> None:
        """Make `records` everything that `source` says (in `network`).  Raises ValueError (not a name)."""
        told = {_checked(name): entries for name, entries in records.items()}
        gone = self._published.get((source, network), set()) - told.keys()
        self._apply(source, network, {**dict.fromkeys(gone, ()), **told})

    def change(self, source: str, records: Records, network: str | None = None) -> None:
        """Replace what `source` says of these names only; a name without entries is taken back."""
        self._apply(source, network, {_checked(name): entries for name, entries in records.items()})

    def _apply(self, source: str, network: str | None, records: Records) -> None:
        table = self._tables.setdefault(network, _Table())
        names = self._published.setdefault((source, network), set())
        for name, entries in records.items():
            if entries:
                table.put(source, name, entries)
                names.add(name)
            else:
                table.drop(source, name)
                names.discard(name)
        if not names:
            del self._published[source, network]
        self._serial += 1

    # -- answering -----------------------------------------------------------------------------------------------

    def find(self, question: Question, networks: Sequence[str] = ()) -> Finding | None:
        """What we know, for an asker who sees the names of `networks`, the first one's first; None: not ours to say."""
        name = question.name
        records: list[Record] = []
        for _ in range(_MOST_ALIASES):
            entries = self._entries(name, networks)
            if entries is None:
                return self._without(name, networks, tuple(records))
            alias = next((entry for entry in entries if isinstance(entry, Alias)), None)
            if alias is None or question.type == dns.CNAME:
                return self._finding(question, name, entries, records, networks)
            records.append(dns.cname(name, alias.target, self._ttl_s))
            name = alias.target
        return Finding(dns.SERVER_FAILURE)

    def _finding(
        self, question: Question, name: str, entries: Sequence[Entry], before: Sequence[Record], networks: Sequence[str]
    ) -> Finding:
        found = [r for r in (self._encode(name, e) for e in entries) if question.type in (r.type, dns.ANY)]
        records = (*before, *self._in_turn(found))
        if not found:
            return Finding(records=records, authority=self._authority(name))
        targets = {e.target for e in entries if isinstance(e, Service)} if question.type == dns.SRV else ()
        extra = [
            self._encode(target, entry)
            for target in sorted(targets)
            for entry in self._entries(target, networks) or ()
            if isinstance(entry, IPv4Address | IPv6Address)
        ]
        return Finding(records=records, additional=tuple(extra))

    def _without(self, name: str, networks: Sequence[str], records: tuple[Record, ...]) -> Finding | None:
        """For a name that nobody published."""
        if self._zone(name) is None:
            return Finding(records=records, elsewhere=name) if records else None
        exists = any(name in self._tables[scope].above for scope in (*networks, None) if scope in self._tables)
        code = dns.NO_ERROR if exists or name in self._zones or records else dns.NO_SUCH_NAME
        return Finding(code, records, self._authority(name))

    def _entries(self, name: str, networks: Sequence[str]) -> Sequence[Entry] | None:
        everybodys_first = name.endswith(_REVERSE)  # a pod's name in its network is only what it is called by default
        for scope in (None, *networks) if everybodys_first else (*networks, None):
            table = self._tables.get(scope)
            by_source = table.names.get(name) if table is not None else None
            if by_source is not None:
                return [entry for source in sorted(by_source) for entry in by_source[source]]
        return None

    def _zone(self, name: str) -> str | None:
        return next((zone for zone in self._zones if name == zone or name.endswith("." + zone)), None)

    def _authority(self, name: str) -> tuple[Record, ...]:
        zone = self._zone(name)
        return (dns.soa(zone, self._serial, self._ttl_s),) if zone is not None else ()

    def _in_turn(self, records: list[Record]) -> list[Record]:
        """Each answer begins with another record, for askers who only take the first."""
        if len(records) < 2:
            return records
        self._turn += 1
        first = self._turn % len(records)
        return records[first:] + records[:first]

    def _encode(self, name: str, entry: Entry) -> Record:
        if isinstance(entry, IPv6Address):
            return dns.aaaa(name, entry, self._ttl_s)
        if isinstance(entry, IPv4Address):
            return dns.a(name, entry, self._ttl_s)
        if isinstance(entry, Service):
            return dns.srv(name, entry.target, entry.port, self._ttl_s, entry.priority, entry.weight)
        if isinstance(entry, Pointer):
            return dns.ptr(name, entry.target, self._ttl_s)
        if isinstance(entry, Text):
            return dns.txt(name, entry.text, self._ttl_s)
        return dns.cname(name, entry.target, self._ttl_s)


def _parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(1, len(labels))]


def _checked(name: str) -> str:
    name = name.lower().strip(".")
    dns.encode_name(name)
    return name
