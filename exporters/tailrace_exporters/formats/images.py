"""Which images a target takes: their kinds, their number, their size, and whether it fetches them itself. Pure."""

import binascii
import re
from dataclasses import dataclass
from typing import Final

from tailrace.records import Json

UNFIT: Final = "image_unfit"
TOO_MANY: Final = "too_many_images"
REASONS: Final = {
    UNFIT: "an image is not of a kind, a size or a place that the target takes",
    TOO_MANY: "a row has more images than the target takes",
}
_DATA: Final = re.compile(r"data:image/([a-z0-9.+-]+);base64,")
MEGABYTE: Final = 1_000_000
"""The smaller reading of the vendors' "MB": an image that fits it fits the other one."""


@dataclass(frozen=True, slots=True)
class Images:
    """What a target's documents say of images."""

    kinds: tuple[str, ...]
    """Subtypes of `image/`."""
    most: int | None = None
    """In one row; None where the target's documents do not say."""
    most_bytes: int | None = None
    """Of one image, where the row holds it."""
    fetched: bool = False
    """Whether an http(s) address will do; a row that holds only the address cannot be checked further."""

    def fault(self, image_url: Json) -> str | None:
        """What is wrong with the `image_url` of a part, or None."""
        url = image_url.get("url") if type(image_url) is dict else None
        if type(url) is not str:
            return "an image is an object with a `url`"
        if url.startswith(("https://", "http://")):
            return None if self.fetched else "no address is fetched: an image stands in the row, as a base64 data URL"
        found = data_url(url)
        if found is None:
            return "an image is a base64 data URL with its MIME type"
        kind, size_bytes = found[0], len(found[1]) // 4 * 3
        if kind not in self.kinds:
            return f"image/{kind}: the target takes {', '.join(self.kinds)}"
        if self.most_bytes is not None and size_bytes > self.most_bytes:
            return f"an image of {size_bytes:,} bytes; the target takes {self.most_bytes:,}"
        return None


def data_url(url: str) -> tuple[str, str] | None:
    """The subtype of `image/` and the base64 text of a data URL; None if it is no such thing."""
    head = _DATA.match(url)
    if head is None:
        return None
    text = url[head.end() :]
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return (head[1], text) if text else None
