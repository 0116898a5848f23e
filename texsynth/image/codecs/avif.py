"""AVIF: the header by Pillow, the pixels by imagecodecs, because Pillow reads 10 and 12 bits as 8."""

from __future__ import annotations

from typing import Any, BinaryIO

from texsynth.image.codecs.base import (
    MAX_ICC,
    Decoded,
    Format,
    Header,
    Opened,
    check_frames,
    read_exif,
    size_of,
    spread,
)
from texsynth.image.codecs.boxes import content, inside
from texsynth.image.codecs.tags import Tags

BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
SRGB, UNSPECIFIED = (1, 13), 2  # colour primaries and transfer by ITU-T H.273
BYTES_A_PIXEL = 16  # planes of the decoder


def _opened(handle: BinaryIO) -> Opened:
    from PIL import Image

    picture = Image.open(handle, formats=["AVIF"])
    check_frames(getattr(picture, "n_frames", 1), "animated AVIF")
    bits, tags = _properties(handle)
    alpha = picture.mode in ("LA", "RGBA")
    channels = (1 if picture.mode in ("L", "LA") else 3) + alpha
    working = 2 * size_of(handle) + BYTES_A_PIXEL * picture.width * picture.height
    header = Header(picture.width, picture.height, channels, "uint8" if bits == 8 else "uint16", working)
    icc, (orientation, resolution) = picture.info.get("icc_profile"), read_exif(picture.info.get("exif", b""))

    def decode() -> Decoded:
        import imagecodecs

        handle.seek(0)
        stored = imagecodecs.avif_decode(handle.read(), numthreads=1)
        samples = spread(stored.reshape(*stored.shape[:2], -1), bits)
        fitting = icc if icc and len(icc) <= MAX_ICC else None
        return Decoded(samples, fitting, Tags(**tags, density=resolution), orientation)

    return Opened(header, decode)


def _properties(handle: BinaryIO) -> tuple[int, dict[str, Any]]:
    """The bits of a sample, and the meaning of colours as a PNG would name it."""
    bits, tags = 8, dict[str, Any]()
    for box in inside(handle, b"meta", b"iprp", b"ipco"):
        body = content(handle, box, most=16)
        if box.kind == b"av1C" and len(body) > 2 and body[2] & 0x40:
            bits = max(bits, 12 if body[2] & 0x20 else 10)
        if box.kind == b"colr" and body[:4] == b"nclx" and not tags:
            primaries, transfer = (int.from_bytes(body[at : at + 2], "big") for at in (4, 6))
            if (primaries, transfer) == SRGB:
                tags = {"srgb": b"\0"}
            elif UNSPECIFIED not in (primaries, transfer) and max(primaries, transfer) < 256:
                tags = {"cicp": bytes([primaries, transfer, 0, 1])}  # RGB in full range, as it is decoded
    return bits, tags


def _recognised(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


AVIF = Format("AVIF", (".avif",), _recognised, _opened)
