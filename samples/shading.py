"""From a height field and a reflectance to something a camera could have seen, and to the maps beside it."""

from dataclasses import dataclass

import numpy as np

from fields import APRON, OVER, SIZE, N, blur, mix, smoothstep

LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Light:
    """A sun (or window) under a sky: where it stands in degrees, linear colours, width of its penumbra."""

    azimuth: float = 128.0  # counter-clockwise from the right of the picture
    elevation: float = 42.0
    sun: tuple = (2.3, 2.1, 1.8)
    sky: tuple = (0.62, 0.7, 0.82)
    penumbra: float = 0.8

    def direction(self):
        """Unit vector towards the light: x right, y down, z towards the viewer."""
        a, e = np.radians([self.azimuth, self.elevation])
        return np.array([np.cos(e) * np.cos(a), -np.cos(e) * np.sin(a), np.sin(e)])


OUTDOORS = Light()
OVERCAST = Light(elevation=58.0, sun=(1.0, 0.98, 0.95), sky=(0.95, 1.0, 1.06), penumbra=2.5)


def normals(height):
    """Unit normals (x right, y down, z towards the viewer), on the last axis."""
    dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * (OVER / 2)
    dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * (OVER / 2)
    n = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


def cast_shadow(height, light, reach=14.0):
    """1 where the light is seen, 0 where something within `reach` pixels stands in front of it."""
    lx, ly, lz = light.direction()
    flat = np.hypot(lx, ly)
    over = np.full(height.shape, -np.inf)
    for step in range(1, int(reach * OVER)):
        dx, dy = round(step * lx / flat), round(step * ly / flat)
        climb = step / OVER * lz / flat
        over = np.maximum(over, np.roll(height, (-dy, -dx), (0, 1)) - height - climb)
    return smoothstep(light.penumbra * 0.5, -light.penumbra * 0.5, over)


def openness(height, strength=0.7):
    """Ambient light let in: how far each place lies below its blurred surroundings, over several radii."""
    depth = sum(np.maximum(blur(height, s) - height, 0.0) / s for s in (1.0, 2.0, 4.0, 8.0))
    return np.exp(-strength * depth)


def lit(height, albedo, rough=1.0, light=OUTDOORS, occlusion=0.7, specular=0.04):
    """Radiance of a rough surface seen from above: sun with cast shadow, occluded sky, one highlight."""
    n, towards = normals(height), light.direction()
    shadow = cast_shadow(height, light) * np.maximum(n @ towards, 0.0)
    seen = openness(height, occlusion)[..., None]
    seen = seen / (1.0 - albedo * (1.0 - seen))  # light bounced inside a cavity takes on its colour
    radiance = albedo * (shadow[..., None] * light.sun + seen * (0.55 + 0.45 * n[..., 2:]) * light.sky)
    half = towards + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    rough = np.broadcast_to(np.asarray(rough, float), height.shape)
    power = 2.0 / np.maximum(rough, 0.08) ** 4
    lobe = (power + 2.0) / 8.0 * np.maximum(n @ half, 0.0) ** power
    glint = specular * lobe * np.minimum(shadow * 2.0, 1.0) * (1.0 - rough) ** 0.5
    return radiance + np.minimum(glint, 3.0)[..., None] * light.sun


def shrink(field):
    """Crop the apron and average the working samples of each finished pixel."""
    inner = field[APRON * OVER : N - APRON * OVER, APRON * OVER : N - APRON * OVER]
    return inner.reshape(SIZE, OVER, SIZE, OVER, *field.shape[2:]).mean((1, 3))


def encoded(x):
    """Linear light to sRGB."""
    x = np.clip(x, 0.0, None)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)


def photograph(radiance, rng, key=0.24, softness=0.5, contrast=0.05, grain=0.008, saturation=0.84):
    """What a small camera makes of the scene: exposure, shoulder, lens blur, sharpening and sensor grain."""
    exposed = radiance * (key / np.mean(radiance @ LUMA))
    exposed = mix((exposed @ LUMA)[..., None], exposed, saturation)
    exposed = exposed * (1.0 + exposed / 2.5**2) / (1.0 + exposed)
    soft = np.stack([blur(exposed[..., c], softness) for c in range(3)], -1)
    sharp = soft + 0.3 * (soft - np.stack([blur(soft[..., c], 1.2) for c in range(3)], -1))
    image = encoded(shrink(sharp))
    image = image - contrast * np.sin(2.0 * np.pi * np.clip(image, 0, 1))
    luma = rng.normal(0, grain, (SIZE, SIZE, 1)) * (1.2 - image)  # shot noise shows in the shadows
    return to8(image + luma + rng.normal(0, grain * 0.35, image.shape))


def to8(field):
    """0..1 to 8 bits."""
    return np.round(np.clip(field, 0.0, 1.0) * 255.0).astype(np.uint8)


def height_map(height):
    """The height field over its whole range as 16-bit grey."""
    small = shrink(height)
    return np.round((small - small.min()) / np.ptp(small) * 65535.0).astype(np.uint16)


def normal_map(height):
    """Tangent-space normals in the OpenGL convention: red right, green up, blue towards the viewer."""
    n = shrink(normals(height) * (1.0, -1.0, 1.0))
    return to8(0.5 + 0.5 * n / np.linalg.norm(n, axis=-1, keepdims=True))
