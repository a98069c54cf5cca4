"""One command at a time writes labels of a classifier, under names of segments that say so (`commands.keeping`)."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import blake2b
from pathlib import Path

from tailrace.classify.kept import FOLDER
from tailrace.commands.keeping import Keeper, keeping_under
from tailrace.errors import UserError
from tailrace.settings import Settings


@asynccontextmanager
async def keeping(settings: Settings, data_dir: Path, classifier: str) -> AsyncIterator[Keeper]:
    """For the labels of one classifier.

    Raises:
        UserError: another command writes labels of this classifier; and as `keeping_under`.
        WorkFailed: as `keeping_under`.
    """
    with _alone(data_dir, classifier):
        mark = blake2b(classifier.encode(), digest_size=4).hexdigest()
        async with keeping_under(settings, data_dir, mark) as keeper:
            yield keeper


@contextmanager
def _alone(data_dir: Path, classifier: str) -> Iterator[None]:
    folder = data_dir / FOLDER
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / f"{classifier}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise UserError(
            f"data folder {data_dir}: cannot be written ({exc.strerror}); run it as the folder's user"
        ) from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UserError(f"another command writes labels of {classifier} now; wait for its end") from exc
        yield
    finally:
        os.close(fd)
