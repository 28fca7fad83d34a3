import pytest

from coracle.wire.grpchealth import HealthCall, ProtocolError


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS, HEADERS = frame(4, 0, 0), frame(1, 4, 1, b"\x88")


def answer(status):
    body = bytes((8, status)) if status else b""
    return frame(0, 0, 1, b"\0" + len(body).to_bytes(4, "big") + body)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (SETTINGS + HEADERS + answer(1), "SERVING"),
        (SETTINGS + HEADERS + answer(2), "NOT_SERVING"),
        (SETTINGS + HEADERS + answer(0), "UNKNOWN"),
        (SETTINGS + frame(1, 5, 1, b"\x88"), ""),
        (SETTINGS + frame(7, 0, 0, bytes(8)), ""),
        (SETTINGS + frame(3, 0, 1, bytes(4)), ""),
        (SETTINGS + HEADERS, None),
        (frame(0, 8, 1, b"\x02\0\0\0\0\x02\x08\x01__"), "SERVING"),
    ],
)
def test_verdict_however_it_arrives(said, verdict):
    whole, pieces = HealthCall("10.0.0.1:80"), HealthCall("10.0.0.1:80", "shop")
    whole.feed(said)
    for byte in said:
        pieces.feed(bytes((byte,)))
    assert (whole.verdict, pieces.verdict) == (verdict, verdict)


def test_settings_and_pings_are_answered():
    call = HealthCall("a:1")
    assert call.feed(SETTINGS + frame(6, 0, 0, b"12345678")) == frame(4, 1, 0) + frame(6, 1, 0, b"12345678")
    assert call.feed(frame(4, 1, 0)) == b""


def test_the_request_names_its_service():
    said = HealthCall("10.0.0.1:80", "shop", "kube-probe/1.36").begin()
    assert said.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
    assert said.endswith(b"\0\0\0\0\x06\x0a\x04shop")
    for text in (b"/grpc.health.v1.Health/Check", b"10.0.0.1:80", b"application/grpc", b"kube-probe/1.36"):
        assert bytes((len(text),)) + text in said


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(0, 8, 1, b"\xff")])
def test_something_else_is_refused(said):
    with pytest.raises(ProtocolError):
        HealthCall("a:1").feed(said)
