"""Scalar fields, point sets and cells from which the sample materials are built.

Everything is measured in pixels of the finished picture. The working grid is finer than that and has an
apron on each side, which is cropped at the end, and with it the seams of filters that wrap around.
"""

import numpy as np
from noise import snoise2

SIZE = 256  # side of the finished picture
OVER = 2  # working samples per finished pixel, along one axis
APRON = 16  # finished pixels drawn on each side, then cropped
SIDE = SIZE + 2 * APRON
N = SIDE * OVER

Y, X = (np.mgrid[0:N, 0:N] + 0.5) / OVER - APRON
_FY, _FX = np.meshgrid(np.fft.fftfreq(N, 1 / OVER), np.fft.rfftfreq(N, 1 / OVER), indexing="ij")


def smoothstep(low, high, x):
    """Cubic ramp from 0 at `low` to 1 at `high`; the two may come in either order."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(a, b, t):
    """Linear blend; a two-dimensional weight blends colours too."""
    if np.ndim(t) == 2 and max(np.ndim(a), np.ndim(b)) in (1, 3):
        t = t[..., None]
    return a + (b - a) * t


def blur(field, sigma):
    """Gaussian blur, wrapping around."""
    kernel = np.exp(-2.0 * (np.pi * sigma) ** 2 * (_FX**2 + _FY**2))
    return np.fft.irfft2(np.fft.rfft2(field) * kernel, s=field.shape)


def cloud(rng, length, slope=2.0, stretch=(1.0, 1.0)):
    """Random field of unit deviation with a power-law spectrum above 1 / `length` (a Matern field).

    A high slope is smooth, a low one rough; `stretch` lengthens the grain along x and y. Unlike lattice noise
    it shows neither blobs of one size nor axes.
    """
    f2 = (_FX * stretch[0]) ** 2 + (_FY * stretch[1]) ** 2
    amplitude = (1.0 + f2 * (2.0 * np.pi * length) ** 2) ** (-slope / 2)
    spectrum = np.fft.rfft2(rng.standard_normal((N, N))) * amplitude
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(N, N))
    return field / field.std()


def lookup(field, column, row):
    """Bilinear samples of a field at fractional indices, wrapping around."""
    h, w = field.shape
    x0, y0 = np.floor(column).astype(int), np.floor(row).astype(int)
    tx, ty = column - x0, row - y0
    x0, y0, x1, y1 = x0 % w, y0 % h, (x0 + 1) % w, (y0 + 1) % h
    return mix(mix(field[y0, x0], field[y0, x1], tx), mix(field[y1, x0], field[y1, x1], tx), ty)


def simplex(rng, wavelength, octaves=1):
    """Simplex noise, about -1..1; for what needs one clear scale, such as a direction."""
    ox, oy = rng.uniform(0, 1000, 2)
    axis = np.arange(SIDE + 1) / wavelength
    coarse = np.array([[snoise2(ox + x, oy + y, octaves) for x in axis] for y in axis])
    at = np.arange(N) / OVER
    return lookup(coarse, *np.meshgrid(at, at))


def warp(rng, amount, length, slope=2.0):
    """Coordinates displaced by smooth noise: what keeps edges from looking ruled."""
    return X + amount * cloud(rng, length, slope), Y + amount * cloud(rng, length, slope)


def personal(field, owner, rng):
    """The field read by each owner (an integer per pixel) at a place of its own: marks then stop at edges."""
    shift = rng.integers(0, N, (2, owner.max() + 1))
    row, column = np.indices((N, N))
    return field[(row + shift[0][owner]) % N, (column + shift[1][owner]) % N]


def box(u, v, half_u, half_v, radius):
    """Signed distance to a rectangle with rounded corners, negative inside."""
    qu, qv = np.abs(u) - half_u + radius, np.abs(v) - half_v + radius
    return np.hypot(np.maximum(qu, 0), np.maximum(qv, 0)) + np.minimum(np.maximum(qu, qv), 0) - radius


def jittered(rng, spacing_x, spacing_y, jitter=0.5, stagger=0.5, bottom=SIZE):
    """Points near a staggered lattice, reaching past the apron: even cover without visible rows."""
    rows = np.arange(-APRON - spacing_y, bottom + 2 * APRON + spacing_y, spacing_y)
    columns = np.arange(-APRON - spacing_x, SIZE + APRON + 2 * spacing_x, spacing_x)
    px, py = np.meshgrid(columns, rows)
    px = px + (np.arange(len(rows)) % 2)[:, None] * stagger * spacing_x
    points = np.stack([px.ravel(), py.ravel()], 1)
    return points + rng.uniform(-jitter, jitter, points.shape) * (spacing_x, spacing_y)


def cells(points, x, y):
    """For each position the index of the nearest point, and the distance to the border of its cell."""
    best, owner = np.full(x.shape, np.inf), np.zeros(x.shape, int)
    for i, (px, py) in enumerate(points):
        d2 = (x - px) ** 2 + (y - py) ** 2
        nearer = d2 < best
        best[nearer], owner[nearer] = d2[nearer], i
    border = np.full(x.shape, np.inf)
    for i, (px, py) in enumerate(points):
        apart = np.hypot(px - points[owner, 0], py - points[owner, 1])
        apart[owner == i] = np.inf
        to_bisector = ((x - px) ** 2 + (y - py) ** 2 - best) / (2 * apart)
        border = np.minimum(border, np.where(owner == i, np.inf, to_bisector))
    return owner, border


def scatter(rng, radii, touching=1.0, tries=40):
    """Throw discs in the given order, kept `touching` times their radii apart: rows x, y, radius."""
    placed = np.empty((len(radii), 3))
    count = 0
    for radius in radii:
        for x, y in rng.uniform(-APRON, SIZE + APRON, (tries, 2)):
            others = placed[:count]
            if np.all(np.hypot(others[:, 0] - x, others[:, 1] - y) >= touching * (others[:, 2] + radius)):
                placed[count] = x, y, radius
                count += 1
                break
    return placed[:count]
