"""Every mode and container of Pillow, in every orientation, against pixels that are known."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, features

from mitorch_service.training.data.images.decoding import decode
from mitorch_service.training.data.images.image_files import open_image, stored_size
from mitorch_service.training.data.targets import Boxes

Pixels = NDArray[np.uint8]

# How the stored rows and columns are shown, by EXIF orientation (TIFF 6.0, page 36): independent of Pillow's turning.
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
WIDTH, HEIGHT = 12, 8
RAMP = np.linspace(0, 255, WIDTH * HEIGHT).astype(np.uint8).reshape(HEIGHT, WIDTH)  # all pixels differ
COLORS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1)
HALF = np.where(np.arange(WIDTH) < WIDTH // 2, 0, 255).astype(np.uint8)[None].repeat(HEIGHT, 0)  # transparent, opaque
VEIL = np.full((HEIGHT, WIDTH), 102, np.uint8)  # two fifths


def grey(values: Pixels) -> Pixels:
    return np.repeat(values[..., None], 3, -1)


def on_white(colors: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[..., None] / 255
    return np.rint(colors * share + 255 * (1 - share)).astype(np.uint8)


def with_alpha(pixels: Pixels, alpha: Pixels) -> Image.Image:
    return Image.fromarray(np.dstack([pixels, alpha]))


def palette(alpha: bytes | None = None) -> Image.Image:
    image = Image.fromarray(RAMP).convert("P")  # the index is the grey
    image.putpalette([channel for one in range(256) for channel in (one, 255 - one, 7)])
    if alpha is not None:
        image.info["transparency"] = alpha
    return image


PALETTE = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 7)], -1)
BITS = RAMP > 127
WIDE = RAMP.astype(np.int64)
SIXTEEN = RAMP.astype(np.uint16) * 257
CLEAR_BELOW_100 = bytes(0 if one < 100 else 255 for one in range(256))
CMYK = np.dstack([COLORS, np.full_like(RAMP, 50)])
FROM_CMYK = np.rint((255 - COLORS.astype(float)) * (255 - 50) / 255).astype(np.uint8)


def from_lightness(lightness: Pixels) -> Pixels:
    """Grey in sRGB: CIE 1976 (L* from 0 to 255 here), IEC 61966-2-1."""
    scaled = lightness / 255 * 100
    linear = np.where(scaled > 8, ((scaled + 16) / 116) ** 3, scaled / 903.3)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return grey(np.rint(curved * 255).astype(np.uint8))


def with_palette_and_alpha() -> Image.Image:
    image = Image.new("PA", (WIDTH, HEIGHT))
    image.putpalette(palette().getpalette() or [])
    image.putdata(list(zip(RAMP.ravel().tolist(), HALF.ravel().tolist(), strict=True)))
    return image


def of_integers(white: int) -> Image.Image:
    return Image.fromarray((WIDE * white // 255).astype(np.int32))


def of_floats(white: float) -> Image.Image:
    return Image.fromarray((RAMP.astype(np.float64) * white / 255).astype(np.float32))


# By mode: the image as it is saved, and what is to be seen.
MODES: dict[str, tuple[Image.Image, Pixels]] = {
    "1": (Image.fromarray(BITS), grey(BITS.astype(np.uint8) * 255)),
    "L": (Image.fromarray(RAMP), grey(RAMP)),
    "P": (palette(), PALETTE),
    "P clear": (palette(CLEAR_BELOW_100), on_white(PALETTE, np.where(RAMP < 100, 0, 255).astype(np.uint8))),
    "PA": (with_palette_and_alpha(), on_white(PALETTE, HALF)),
    "LA": (with_alpha(RAMP, HALF), on_white(grey(RAMP), HALF)),
    "LA veil": (with_alpha(RAMP, VEIL), on_white(grey(RAMP), VEIL)),
    "RGB": (Image.fromarray(COLORS), COLORS),
    "RGBA": (with_alpha(COLORS, HALF), on_white(COLORS, HALF)),
    "RGBA veil": (with_alpha(COLORS, VEIL), on_white(COLORS, VEIL)),
    "CMYK": (Image.frombytes("CMYK", (WIDTH, HEIGHT), CMYK.tobytes()), FROM_CMYK),
    "YCbCr": (Image.fromarray(COLORS).convert("YCbCr"), COLORS),
    "LAB": (
        Image.merge("LAB", [Image.fromarray(one) for one in (RAMP, *np.full((2, HEIGHT, WIDTH), 128, np.uint8))]),
        from_lightness(RAMP),
    ),
    "I to 255": (of_integers(255), grey(RAMP)),
    "I to 65535": (of_integers(65535), grey(RAMP)),
    "I to 2^31": (of_integers(2**31 - 1), grey(RAMP)),
    "F to 1": (of_floats(1), grey(RAMP)),
    "F to 255": (of_floats(255), grey(RAMP)),
    "F to 65535": (of_floats(65535), grey(RAMP)),
    "F to 10^12": (of_floats(1e12), grey(RAMP)),
    "I;16": (Image.fromarray(SIXTEEN), grey(RAMP)),
    "I;16B": (Image.fromarray(SIXTEEN.astype(">u2")), grey(RAMP)),
}
INTEGERS, FLOATS = ("I to 255", "I to 65535", "I to 2^31"), ("F to 1", "F to 255", "F to 65535", "F to 10^12")
PLAIN, ALPHA, SHORTS = ("1", "L", "P", "RGB"), ("LA", "LA veil", "RGBA", "RGBA veil"), ("I;16", "I;16B")


class Container(NamedTuple):
    """A format with the modes that it keeps, and how far a pixel may be off."""

    format: str
    modes: tuple[str, ...]
    off: int = 0
    options: dict[str, Any] = {}
    turns: bool = False  # keeps an orientation


_TIFF = (*PLAIN, "PA", *ALPHA, "CMYK", "YCbCr", "LAB", *INTEGERS, *FLOATS, *SHORTS)
CONTAINERS = {
    "png": Container("PNG", (*PLAIN, "P clear", *ALPHA, *SHORTS), turns=True),
    "tiff": Container("TIFF", _TIFF, turns=True),
    "tiff, packed": Container("TIFF", _TIFF, 0, {"compression": "tiff_lzw"}, turns=True),
    "webp": Container("WEBP", (*PLAIN, "P clear", *ALPHA), 0, {"lossless": True, "exact": True}, turns=True),
    "avif": Container("AVIF", (*PLAIN, *ALPHA), 2, {"quality": 100, "subsampling": "4:4:4", "speed": 10}, turns=True),
    "jpeg": Container("JPEG", ("L", "RGB", "CMYK"), 2, {"quality": 100, "subsampling": 0}, turns=True),
    "mpo": Container("MPO", ("L", "RGB", "CMYK"), 2, {"quality": 100, "subsampling": 0}, turns=True),
    "jpeg 2000": Container("JPEG2000", ("L", "RGB", "CMYK", *ALPHA, *SHORTS)),
    "pnm": Container("PPM", ("1", "L", "RGB", "I to 65535", *FLOATS, "I;16")),
    "gif": Container("GIF", PLAIN),
    "bmp": Container("BMP", PLAIN),
    "dib": Container("DIB", PLAIN),
    "tga": Container("TGA", (*PLAIN, *ALPHA)),
    "pcx": Container("PCX", PLAIN),
    "sgi": Container("SGI", ("L", "RGB", "RGBA", "RGBA veil")),
    "dds": Container("DDS", ("L", "RGB", *ALPHA)),
    "qoi": Container("QOI", ("RGB", "RGBA", "RGBA veil")),
}
OFF = {"YCbCr": 3, "LAB": 2}  # whose conversion rounds
if not features.check("avif"):
    del CONTAINERS["avif"]


def saved(image: Image.Image, container: Container, orientation: int = 1) -> io.BytesIO:
    buffer, options = io.BytesIO(), dict(container.options)
    if container.turns:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options["exif"] = exif
    image.save(buffer, container.format, **options)
    buffer.seek(0)
    return buffer


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # when it saves one
@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_shown_is_what_was_saved(name: str) -> None:
    container = CONTAINERS[name]
    box = Boxes(np.array([0]), np.array([[2, 1, 5, 3]], np.float32))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[1:3, 2:5] = 1
    for mode, (orientation, turn) in product(container.modes, TURNS.items() if container.turns else [(1, TURNS[1])]):
        image, expected = MODES[mode]
        picture = decode(saved(image, container, orientation))
        difference = np.asarray(picture.image).astype(int) - turn(expected)
        assert abs(difference).max() <= max(container.off, OFF.get(mode, 0)), (mode, orientation)
        rows, columns = np.nonzero(turn(mask))
        shown = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert picture.map_boxes(box).boxes.tolist() == [pytest.approx(shown, abs=1e-4)], (mode, orientation)
        with open_image(saved(image, container, orientation)) as opened:
            assert stored_size(opened) == picture.stored_size == (WIDTH, HEIGHT)


def tiff(values: NDArray[Any], photometric: int = 1, sample_format: int = 1, bits: int = 0) -> io.BytesIO:
    """A TIFF of one channel, written by hand (TIFF 6.0, section 2): Pillow writes fewer kinds than it reads."""
    data = values.tobytes()
    size = {256: values.shape[1] if not bits else WIDTH, 257: values.shape[0], 258: bits or 8 * values.itemsize}
    tags = size | {259: 1, 262: photometric, 273: 8, 277: 1, 278: values.shape[0], 279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return io.BytesIO(struct.pack("<2sHL", b"II", 42, 8 + len(data)) + data + directory)


def packed_12_bits(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    first, second = values[:, ::2], values[:, 1::2]
    return (
        np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).reshape(HEIGHT, -1)
    )


RARE = {
    "12 bits": (tiff(packed_12_bits(WIDE * 4095 // 255), bits=12), RAMP),
    "16 bits, white is 0": (tiff(65535 - SIXTEEN, photometric=0), RAMP),
    "floats, white is 0": (tiff(1 - RAMP.astype(np.float32) / 255, photometric=0, sample_format=3), RAMP),
    "signed 16 bits": (tiff((WIDE * 32767 // 255).astype(np.int16), sample_format=2), RAMP),
    "signed 8 bits": (tiff((WIDE * 127 // 255).astype(np.int8), sample_format=2), RAMP),
    "negative": (tiff(RAMP.astype(np.int32) - 128, sample_format=2), RAMP.clip(128) - np.uint8(128)),
    "unsigned 32 bits": (tiff((WIDE * (2**32 - 1) // 255).astype(np.uint32)), RAMP),
    "no numbers": (tiff(np.where(BITS, np.nan, RAMP).astype(np.float32), sample_format=3), np.where(BITS, 0, RAMP)),
}


@pytest.mark.parametrize("name", RARE)
def test_grey_that_pillow_only_reads(name: str) -> None:
    buffer, expected = RARE[name]
    shown = np.asarray(decode(buffer).image).astype(int)
    steps = 2 if name == "signed 8 bits" else 1  # 128 greys
    assert abs(shown - grey(expected.astype(np.uint8))).max() <= steps


def test_grey_maps_of_any_depth() -> None:
    """A PGM may have any number as its white."""
    values = (WIDE * 1000 // 255).astype(">u2")
    header = f"P5\n{WIDTH} {HEIGHT}\n1000\n".encode()
    shown = np.asarray(decode(io.BytesIO(header + values.tobytes())).image).astype(int)
    assert abs(shown - grey(RAMP)).max() <= 1


def test_a_transparent_grey_of_16_bits_shows_white() -> None:
    buffer = io.BytesIO()
    Image.fromarray(SIXTEEN).save(buffer, "PNG", transparency=int(SIXTEEN[3, 4]))
    buffer.seek(0)
    expected = RAMP.copy()
    expected[3, 4] = 255
    assert np.array_equal(np.asarray(decode(buffer).image), grey(expected))


def png(width: int, bits: int, color_type: int, row: bytes, transparent: tuple[int, ...]) -> io.BytesIO:
    """A PNG of one row with a transparent colour (PNG 3, section 11): Pillow writes fewer kinds than it reads."""
    header = struct.pack(">LLBBBBB", width, 1, bits, color_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": struct.pack(f">{len(transparent)}H", *transparent)}
    chunks |= {b"IDAT": zlib.compress(b"\0" + row), b"IEND": b""}
    packed = (
        struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))
        for name, content in chunks.items()
    )
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


GREY, TRUE_COLOR = 0, 2
TRANSPARENT = {
    "1 bit": (png(2, 1, GREY, b"\x40", (0,)), [255, 255]),
    "2 bits": (png(4, 2, GREY, b"\x1b", (1,)), [0, 255, 170, 255]),
    "4 bits": (png(2, 4, GREY, b"\x3c", (3,)), [255, 204]),
    "8 bits": (png(2, 8, GREY, b"\x03\x04", (3,)), [255, 4]),
    "colours of 8 bits": (png(2, 8, TRUE_COLOR, b"\x03\x03\x03\x04\x04\x04", (3, 3, 3)), [255, 4]),
    "colours of 16 bits": (png(2, 16, TRUE_COLOR, b"\x03\x09" * 3 + b"\x04\x09" * 3, (0x309,) * 3), [255, 4]),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_a_transparent_colour_of_any_depth_shows_white(name: str) -> None:
    buffer, expected = TRANSPARENT[name]
    assert np.asarray(decode(buffer).image)[0, :, 0].tolist() == expected


def test_grey_that_was_multiplied_with_its_alpha() -> None:
    """A TIFF says so by ExtraSamples 1; Pillow calls the mode La."""
    pixels = np.dstack([(RAMP * (VEIL / 255)).round().astype(np.uint8), VEIL])
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    straight, multiplied = (struct.pack("<HHLL", 338, 3, 1, kind) for kind in (2, 1))  # which Pillow cannot write
    shown = np.asarray(decode(io.BytesIO(buffer.getvalue().replace(straight, multiplied))).image).astype(int)
    assert abs(shown - on_white(grey(RAMP), VEIL)).max() <= 2
