"""Cuts the subsets that stand in the repository out of the whole data: `python -m tests.labelled.prepare [DATA] [OUT]`.

Which lines are taken is decided by a hash of what names them, so the same bytes come out again; lines are unchanged and
stand in the source's order. Test splits are not touched. Each subset keeps the source's licence and SOURCE.md.
"""

import csv
import io
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.labelled.loading import SUBSETS, vader_split, whole

_PAPERS: Final = ("LICENSE", "LICENSE.txt", "NOTICE")
_NOTE: Final = """
# Of which this is a subset
- {what}
- made by `python -m tests.labelled.prepare`, which gives the same bytes again; chosen by a hash,
  lines unchanged and in order
"""


def chosen(names: Iterable[str], count: int) -> set[str]:
    """`count` of `names`, those whose hashes are the least."""
    return set(sorted(set(names), key=lambda name: sha256(name.encode()).digest())[:count])


def banking77(source: Path, out: Path) -> str:
    """Four questions of each intent."""
    rows = list(csv.reader(io.StringIO((source / "train.csv").read_bytes().decode(), newline="")))
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for text, label in rows[1:]:
        texts[label].append(text)
    kept = set[str]().union(*(chosen(of, 4) for of in texts.values()))
    written = io.StringIO(newline="")
    csv.writer(written).writerows([rows[0], *(row for row in rows[1:] if row[0] in kept)])
    (out / "train.csv").write_bytes(written.getvalue().encode())
    return "4 questions of each of the 77 intents of train.csv"


def multidogo_airline(source: Path, out: Path) -> str:
    """Whole conversations."""
    for split, count in (("train", 45), ("dev", 15)):
        head, *lines = (source / f"{split}.tsv").read_text("utf-8").split("\n")
        kept = chosen((line.partition("\t")[0] for line in lines if line.count("\t") == 5), count)
        _write(out / f"{split}.tsv", [head, *(line for line in lines if line.partition("\t")[0] in kept)])
    return "45 whole conversations of train.tsv and 15 of dev.tsv"


def star(source: Path, out: Path) -> str:
    """Whole dialogues, with their actions."""
    for split, count in (("train", 30), ("dev", 10)):
        lines = (source / f"{split}.jsonl").read_text("utf-8").split("\n")
        kept = chosen(filter(None, lines), count)
        _write(out / f"{split}.jsonl", [line for line in lines if line in kept])
    return "30 dialogues of train.jsonl and 10 of dev.jsonl"


def nlupp(source: Path, out: Path) -> str:
    """Some of each fold of the banking domain but the last five, which the loader calls test."""
    (out / "banking").mkdir()
    for fold in range(15):
        shapes = json.loads((source / "banking" / f"fold{fold}.json").read_text("utf-8"))
        kept = chosen((shape["text"] for shape in shapes), 7)
        text = json.dumps([shape for shape in shapes if shape["text"] in kept], indent=2)
        (out / "banking" / f"fold{fold}.json").write_text(text + "\n", "utf-8")
    (out / "ontology.json").write_bytes((source / "ontology.json").read_bytes())
    return "7 examples of each of the folds 0 to 14 of banking; ontology.json whole"


def wnut17(source: Path, out: Path) -> str:
    """As many sentences with entities as without."""
    for name, count in (("wnut17train.conll", 35), ("emerging.dev.conll", 15)):
        lines = (source / name).read_text("utf-8").split("\n")
        sentences = ["\n".join(part) for full, part in groupby(lines, lambda line: bool(line.strip())) if full]
        kept = chosen((one for one in sentences if "\tB-" in one), count)
        kept |= chosen((one for one in sentences if "\tB-" not in one), count)
        _write(out / name, [f"{one}\n" for one in sentences if one in kept])
    licence = source.parent / "banking77" / "LICENSE"  # the same one, of which this source has no file
    (out / "LICENSE").write_bytes(licence.read_bytes())
    return (
        "35 sentences with entities and 35 without of wnut17train.conll, 15 and 15 of emerging.dev.conll; one that "
        "stands there twice counts once. LICENSE is the text of CC BY 4.0 as another source brings it"
    )


def vader_sentiment(source: Path, out: Path) -> str:
    """Tweets and snippets that the loader does not call test, with their ratings."""
    for kind in ("tweets", "amazonReviewSnippets"):
        files = (f"{kind}_GroundTruth.txt", f"{kind}_anonDataRatings.txt")
        lines = {file: (source / file).read_bytes().decode("utf-8-sig").split("\n") for file in files}
        numbers = (line.partition("\t")[0] for line in lines[files[0]] if line.strip())
        kept = chosen((number for number in numbers if vader_split(kind, number) != "test"), 100)
        for file in files:
            _write(out / file, [line for line in lines[file] if line.partition("\t")[0] in kept])
    return "100 tweets and 100 Amazon snippets; none that `loading.py` puts into test"


CUTS: Final[dict[str, Callable[[Path, Path], str]]] = {
    "banking77": banking77,
    "multidogo_airline": multidogo_airline,
    "nlupp": nlupp,
    "star": star,
    "vader_sentiment": vader_sentiment,
    "wnut17": wnut17,
}


def prepare(data: Path, out: Path) -> None:
    """Writes every subset anew below `out`."""
    for name, cut in CUTS.items():
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        what = cut(data / name, folder)
        for paper in _PAPERS:
            if (data / name / paper).exists():
                (folder / paper).write_bytes(
                    (data / name / paper).read_bytes()
                )  # not its mode: the source is read-only
        (folder / "SOURCE.md").write_text((data / name / "SOURCE.md").read_text("utf-8") + _NOTE.format(what=what))


def _write(path: Path, lines: list[str]) -> None:
    path.write_bytes(("\n".join(lines).rstrip("\n") + "\n").encode())


def _main(args: list[str]) -> None:
    data = Path(args[0]) if args else whole()
    if data is None:
        raise SystemExit("no data: give its folder, or set TAILRACE_DATA")
    prepare(data, Path(args[1]) if len(args) > 1 else SUBSETS)


if __name__ == "__main__":
    _main(sys.argv[1:])
