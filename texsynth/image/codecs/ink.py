"""CMYK to RGB: by the profile of the file where it has a sound one, or else as ink that takes light away."""

from __future__ import annotations

import numpy as np


def to_rgb(ink: np.ndarray, icc: bytes | None) -> np.ndarray:
    """(H, W, 3) sRGB of (H, W, 4) amounts of ink, in their depth."""
    if icc is not None and icc[16:20] == b"CMYK" and (converted := _managed(ink, icc)) is not None:
        return converted
    full = np.iinfo(ink.dtype).max
    light = full - ink.astype(np.uint32)
    rgb: np.ndarray = ((light[..., :3] * light[..., 3:] + full // 2) // full).astype(ink.dtype)
    return rgb


def _managed(ink: np.ndarray, icc: bytes) -> np.ndarray | None:
    """The colours that a profile means, by littlecms; None for a profile that is damaged."""
    import imagecodecs

    try:
        converted: np.ndarray = imagecodecs.cms_transform(
            np.ascontiguousarray(ink),
            icc,
            imagecodecs.cms_profile("srgb"),
            colorspace="cmyk",
            outcolorspace="rgb",
            intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
            flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
        )
    except (imagecodecs.CmsError, ValueError):
        return None
    return converted
