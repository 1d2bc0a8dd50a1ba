"""The boundaries of WebSocket frames."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.frames import CLOSE, Frames, masked_close


def frame(payload: bytes, *, mask: bool = False, opcode: int = 2, size: int = 0) -> bytes:
    """``size`` 2 or 8 writes the length in so many bytes, needed or not."""
    length = len(payload)
    size = size or (0 if length < 126 else 2 if length < 65536 else 8)
    bit = 0x80 if mask else 0
    short = {0: length, 2: 126, 8: 127}[size]
    return (
        bytes((0x80 | opcode, bit | short))
        + (length.to_bytes(size, "big") if size else b"")
        + (b"keys" if mask else b"")
        + payload
    )


FRAMES = st.lists(
    st.builds(
        frame,
        st.binary(max_size=300),
        mask=st.booleans(),
        opcode=st.sampled_from((0, 1, 2, 8, 9, 10)),
        size=st.sampled_from((2, 8)),
    )
    | st.builds(frame, st.binary(max_size=125), mask=st.booleans()),
    max_size=8,
)


@given(FRAMES, st.data())
def test_between_is_said_exactly_at_the_boundaries(frames, data):
    stream = b"".join(frames)
    boundaries = {0}
    for one in frames:
        boundaries.add(max(boundaries) + len(one))
    reader, at = Frames(), 0
    while at < len(stream):
        piece = stream[at : at + data.draw(st.integers(1, len(stream) - at))]
        first = reader.feed(piece)
        expected = [edge - at for edge in sorted(boundaries) if at < edge <= at + len(piece)]
        assert first == (expected[0] if expected else None)
        at += len(piece)
        assert reader.between == (at in boundaries)


def test_nothing_fed_is_between():
    reader = Frames()
    assert reader.feed(b"") is None
    assert reader.between


def test_the_last_words_are_whole_frames_with_code_1001():
    for word in (CLOSE, masked_close(b"\x01\x02\x03\x04")):
        reader = Frames()
        assert reader.feed(word) == len(word)
        assert reader.between
    key = b"\x01\x02\x03\x04"
    assert bytes(a ^ b for a, b in zip(masked_close(key)[6:], key, strict=False)) == b"\x03\xe9"
