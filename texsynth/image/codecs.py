"""Picture files to arrays and arrays to file bytes; only `texsynth.image.picture` uses this module.

Arrays are (H, W, C): 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha, with straight (not premultiplied)
alpha, in uint8, uint16, float16 or float32.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np

Decoded: TypeAlias = "tuple[np.ndarray, bytes | None, int]"  # samples, ICC profile, EXIF orientation

MAX_PIXELS = 2**28
PNG, JPEG, WEBP, TIFF, BMP, GIF = "PNG", "JPEG", "WebP", "TIFF", "BMP", "GIF"
# Longest side the format (or its library) can hold. TIFF has no limit that MAX_PIXELS does not imply.
MAX_SIDE = {PNG: 1_000_000, JPEG: 65_500, WEBP: 16_383}

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG, b"BM": BMP, b"GIF8": GIF}
_SIGNATURES |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TIFF)
_PNG_START, _PNG_IHDR_END, _MAX_ICC = 8, 33, 2**24
_ORIENTATION, _ICC = 274, 34675  # TIFF tags
_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _YCBCR, _TIFF_JPEG = 0, 1, 2, 3, 6, 7
_SILENT = logging.Filter("no logger has this name")
_library_lock = threading.RLock()


class CodecError(Exception):
    """Why a file cannot be decoded or encoded: one line that does not name the file."""


def sniff(head: bytes) -> str | None:
    """The name of the format whose signature starts `head` (12 bytes are enough), or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    return next((form for signature, form in _SIGNATURES.items() if head.startswith(signature)), None)


def decode(handle: BinaryIO, form: str) -> tuple[np.ndarray, bytes | None]:
    """Samples and ICC profile of the file `handle` of format `form`, turned upright by its orientation. Raises
    CodecError for anything damaged, too large or unsupported, MemoryError when it does not fit."""
    decoder = {TIFF: _decode_tiff, PNG: _decode_png}.get(form, functools.partial(_decode_pillow, form=form))
    with _library(f"damaged or truncated {form}, export or copy the file again"):
        samples, icc, orientation = decoder(handle)
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise CodecError("holds NaN or infinite values; only finite values are allowed, replace them")
    return _upright(samples, orientation), icc


def encode(form: str, samples: np.ndarray, icc: bytes | None, text: dict[str, str]) -> bytes:
    """File bytes for `samples`, in a depth and channel count that `form` holds, with ASCII `text` for PNG only; raises
    CodecError."""
    samples = samples[..., 0] if samples.shape[2] == 1 else samples
    with _library(f"{form} encoder failed, try another format"):
        if form == PNG:
            return _encode_png(samples, icc, text)
        return _encode_tiff(samples, icc) if form == TIFF else _encode_pillow(samples, icc, form)


@contextlib.contextmanager
def _library(problem: str) -> Iterator[None]:
    """Keep the libraries silent and strict, one thread at a time as that is global; what they raise is CodecError."""
    from PIL import Image, ImageFile

    loggers = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]
    with _library_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        # Pillow's own limit is below MAX_PIXELS; `_check_size` runs before any pixel is decoded.
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        for logger in loggers:
            logger.addFilter(_SILENT)
        try:
            yield
        except (CodecError, MemoryError):
            raise
        except Exception as exc:  # each library has its own types; to the user they all mean the same
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise CodecError(f"{problem} ({reason})") from exc
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, truncated
            for logger in loggers:
                logger.removeFilter(_SILENT)


def _check_size(width: int, height: int, form: str) -> None:
    if width * height > MAX_PIXELS:
        raise CodecError(f"is {width}x{height}; at most {MAX_PIXELS} pixels are allowed, scale it down")
    if max(width, height) > (side := MAX_SIDE.get(form, MAX_PIXELS)):
        raise CodecError(f"is {width}x{height}; {form} can have at most {side} pixels per side, use TIFF")


def _check_frames(count: int, kind: str) -> None:
    if count > 1:
        raise CodecError(f"{kind} with {count} frames; one is allowed, export the frame you want as PNG")


def _upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation to (H, W, C); values other than 2..8 leave it as it is."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    return samples[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def _exif_orientation(block: bytes) -> int:
    """Orientation in an EXIF block; 1 when absent or damaged, which is no reason to refuse the pixels."""
    from PIL import Image

    exif = Image.Exif()
    with contextlib.suppress(Exception):
        exif.load(block)
        return int(exif.get(_ORIENTATION, 1))
    return 1


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks (type, body) up to IEND, IDAT without body; CodecError when the file ends before IEND."""
    position = _PNG_START
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        yield kind, b"" if kind == b"IDAT" else data[position + 8 : end - 4]
        if kind == b"IEND":
            return
        position = end
    raise CodecError("truncated PNG, export or copy the file again (it ends too early)")


def png_text(data: bytes, keyword: str) -> str | None:
    """The value of the first tEXt chunk named `keyword`, or None."""
    prefix = keyword.encode("latin-1") + b"\0"
    for kind, body in png_chunks(data):
        if kind == b"tEXt" and body.startswith(prefix):
            return body[len(prefix) :].decode("latin-1")
    return None


def _decode_png(handle: BinaryIO) -> Decoded:
    """All depths by libpng, because Pillow reads 16-bit RGB as 8-bit."""
    import imagecodecs

    data = handle.read()
    chunks: dict[bytes, bytes] = {}
    for kind, body in png_chunks(data):
        chunks.setdefault(kind, body)
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    _check_size(width, height, PNG)
    _check_frames(int.from_bytes(chunks.get(b"acTL", b"")[:4], "big"), "animated PNG")
    samples = imagecodecs.png_decode(data)
    icc, orientation = _inflate_icc(chunks.get(b"iCCP", b"")), _exif_orientation(chunks.get(b"eXIf", b""))
    return samples.reshape(*samples.shape[:2], -1), icc, orientation


def _inflate_icc(body: bytes) -> bytes | None:
    """ICC profile of an iCCP chunk; None when absent, damaged or beyond any real profile's size."""
    inflater = zlib.decompressobj()
    with contextlib.suppress(ValueError, zlib.error):
        icc = inflater.decompress(body[body.index(b"\0") + 2 :], _MAX_ICC)
        return icc if inflater.eof else None
    return None


def _encode_png(samples: np.ndarray, icc: bytes | None, text: dict[str, str]) -> bytes:
    import imagecodecs

    # The room it reserves by itself forgets the byte before each row: too little for tall pictures.
    raw = samples.nbytes + len(samples)
    data = bytes(imagecodecs.png_encode(samples, out=raw + raw // 100 + 4096))
    chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    chunks += [(b"tEXt", f"{keyword}\0{value}".encode("ascii")) for keyword, value in text.items()]
    extra = b""
    for kind, body in chunks:
        extra += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:_PNG_IHDR_END] + extra + data[_PNG_IHDR_END:]


def _decode_pillow(handle: BinaryIO, form: str) -> Decoded:
    from PIL import Image

    with Image.open(handle, formats=[form.upper()]) as picture:
        _check_size(picture.width, picture.height, form)
        if form in (WEBP, GIF):  # not JPEG: phones append previews there as further frames
            _check_frames(getattr(picture, "n_frames", 1), f"animated {form}")
        grey = picture.mode in ("1", "L", "LA")
        alpha = picture.has_transparency_data
        orientation = _exif_orientation(picture.info.get("exif", b""))
        # A CMYK profile does not describe the RGB values that come out.
        icc = None if picture.mode == "CMYK" else picture.info.get("icc_profile")
        converted = picture.convert(("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB"))
    samples = np.asarray(converted)
    return samples.reshape(*samples.shape[:2], -1), icc or None, orientation


def _encode_pillow(samples: np.ndarray, icc: bytes | None, form: str) -> bytes:
    from PIL import Image

    # exact: keep the colour under transparent pixels
    options = {"lossless": True, "exact": True} if form == WEBP else {"quality": 95, "subsampling": 0}
    picture, out = Image.fromarray(samples), io.BytesIO()
    picture.save(out, form.upper(), icc_profile=icc, **options)
    return out.getvalue()


def _decode_tiff(handle: BinaryIO) -> Decoded:
    import tifffile

    with tifffile.TiffFile(handle) as tif:
        # Reduced copies and masks belong to a page; they are not pages of their own.
        pages = [page for page in tif.pages if not page.is_reduced and not page.is_mask]
        _check_frames(len(pages), "multi-page TIFF")
        page: Any = pages[0]
        _check_size(page.imagewidth, page.imagelength * page.imagedepth, TIFF)
        _check_size(page.tilewidth, page.tilelength * page.tiledepth, TIFF)  # a tile is decoded whole
        _check_tiff(page, tif.filehandle.size)
        orientation, icc = (page.tags.valueof(code) for code in (_ORIENTATION, _ICC))
        return _tiff_samples(page), bytes(icc) if icc else None, orientation


def _check_tiff(page: Any, size: int) -> None:
    """CodecError for samples, colours or channels that are not supported, or strips beyond `size` bytes."""
    bits, name, channels = page.bitspersample, str(page.dtype), page.samplesperpixel
    floating = name in ("float16", "float32") and bits in (16, 32)
    if not floating and not (name in ("bool", "uint8", "uint16") and bits in (1, 2, 4, 8, 16)):
        allowed = "1, 2, 4, 8 and 16-bit unsigned, float16 and float32"
        raise CodecError(f"TIFF with {bits}-bit {name} samples; allowed: {allowed}; convert it to those")
    if page.imagedepth != 1 or not 1 <= channels <= 4:
        raise CodecError(f"TIFF of {channels} channels, depth {page.imagedepth}; allowed: 1 to 4, depth 1")
    kinds = {_MINISBLACK, _RGB} if floating else {_MINISWHITE, _MINISBLACK, _RGB}
    if page.compression == _TIFF_JPEG:
        kinds.add(_YCBCR)  # the JPEG decoder turns it into RGB
    if channels == 1 and bits <= 8:
        kinds.add(_PALETTE)
    if page.photometric not in kinds:
        kind = getattr(page.photometric, "name", page.photometric)
        raise CodecError(f"TIFF with {kind} colour; allowed: grey, RGB and 8-bit palette; convert it to RGB")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # tifffile would fill missing strips or tiles with zeros.
    short = not page.is_contiguous and len(segments) < np.prod(page.chunked)
    if short or not segments or any(not o or not n or o + n > size for o, n in segments):
        raise CodecError("truncated TIFF, export or copy the file again (pixels are missing)")


def _tiff_samples(page: Any) -> np.ndarray:
    """(H, W, C) samples of a checked page: palette looked up, bits spread to 8, alpha straight."""
    stored: np.ndarray = page.asarray(squeeze=False)  # (planes, 1, H, W, C)
    samples = stored[0, 0] if len(stored) == 1 else np.moveaxis(stored[:, 0, :, :, 0], 0, -1)
    if page.photometric == _PALETTE:
        samples = np.moveaxis(page.colormap[:, samples[..., 0]] >> 8, 0, -1).astype(np.uint8)
    elif page.bitspersample < 8:
        samples = samples.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
    if page.photometric == _MINISWHITE:
        samples = samples.copy()
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    return _straight(samples) if 1 in page.extrasamples and samples.shape[2] in (2, 4) else samples


def _straight(samples: np.ndarray) -> np.ndarray:
    """Divide the colour by the alpha it was multiplied with; colour under zero alpha becomes 0."""
    top = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1
    alpha = samples[..., -1:].astype(np.float64)
    colour = samples[..., :-1] * np.float64(top)
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    if samples.dtype.kind == "u":
        colour = np.rint(np.minimum(colour, top))
    return np.concatenate([colour, alpha], axis=-1).astype(samples.dtype)


def _encode_tiff(samples: np.ndarray, icc: bytes | None) -> bytes:
    import tifffile

    options: dict[str, Any] = {"planarconfig": "contig"} if samples.ndim == 3 else {}
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        options["extrasamples"] = ("unassalpha",)
    colour, out = "rgb" if samples.shape[2:] > (2,) else "minisblack", io.BytesIO()
    options |= {"photometric": colour, "compression": "zlib", "predictor": True, "iccprofile": icc}
    tifffile.imwrite(out, samples, metadata=None, **options)
    return out.getvalue()
