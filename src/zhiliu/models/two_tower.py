"""Two towers: a person from their past and profile, a video from its id and content; their dot product ranks.

The last coordinate carries the video's own level: person vectors end in 1, video vectors in a bias, so one
matrix-vector product over (N, D + 1) gives every score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zhiliu.features.interest import GAPS, KINDS
from zhiliu.features.video import BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTowerShape:
    """Sizes the towers are built for."""

    videos: int
    authors: int
    tags: int
    languages: int
    text_width: int
    profile_codes: int
    """Codes of all profile fields laid one after the other."""
    profile_numeric: int
    width: int = 64
    queries: int = 4
    """Learned questions asked of the past; small: one taste a person, large: several."""


class VideoTower(nn.Module):
    """Catalogue facts → content vector (n, D); with level features → ranking vector (n, D + 1)."""

    def __init__(self, shape: TwoTowerShape) -> None:
        super().__init__()
        d = shape.width
        self.id = nn.Embedding(shape.videos, d)
        self.author = nn.Embedding(shape.authors, d, padding_idx=0)
        self.tag = nn.Embedding(shape.tags, d, padding_idx=0)
        self.language = nn.Embedding(shape.languages, d)
        self.bucket = nn.Embedding(BUCKETS, d)
        for table in (self.id, self.author, self.tag, self.language, self.bucket):
            nn.init.normal_(table.weight, std=0.05)
        self.text = nn.Linear(shape.text_width, d, bias=False)
        self.mix = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.level = nn.Sequential(nn.Linear(d + 2, 32), nn.GELU(), nn.Linear(32, 1))
        self.bias = nn.Embedding(shape.videos, 1)
        nn.init.zeros_(self.bias.weight)

    def content(
        self,
        video: Tensor,
        known: Tensor,
        author: Tensor,
        tag: Tensor,
        language: Tensor,
        bucket: Tensor,
        text: Tensor,
    ) -> Tensor:
        """(n, D) from ids (n,), ``known`` (n, 1) 0 where the id must not speak, tags (n, TAGS), text (n, Dt)."""
        tags = self.tag(tag).sum(1) / (tag > 0).sum(1, keepdim=True).clamp(min=1)
        facts = self.author(author) + tags + self.language(language) + self.bucket(bucket) + self.text(text)
        return facts + self.id(video) * known  # type: ignore[no-any-return]

    def forward(self, content: Tensor, video: Tensor, known: Tensor, level: Tensor) -> Tensor:
        """(n, D + 1) from content (n, D) and level features (n, 2): log recent popularity, age."""
        vector = content + self.mix(content)
        bias = self.level(torch.cat([content, level], 1)) + self.bias(video) * known
        return torch.cat([vector, bias], 1)


class PersonTower(nn.Module):
    """The past (content vectors, kinds, gaps) and the profile → person vector (B, D + 1).

    Kind and age of a past row speak through its attention only: adding them to the (B, T, D) tokens cost four
    times as much for the same recall.
    """

    def __init__(self, shape: TwoTowerShape) -> None:
        super().__init__()
        d, h = shape.width, shape.queries
        self.query = nn.Parameter(torch.randn(d, h) * d**-0.5)
        self.standing = nn.Embedding(len(KINDS) * GAPS, h)
        self.profile = nn.Embedding(shape.profile_codes, d)
        self.numeric = nn.Linear(shape.profile_numeric, d)
        nn.init.zeros_(self.standing.weight)
        nn.init.normal_(self.profile.weight, std=0.05)
        self.mix = nn.Sequential(nn.Linear((h + 3) * d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(
        self, past: Tensor, kind: Tensor, gap: Tensor, mask: Tensor, codes: Tensor, numeric: Tensor
    ) -> Tensor:
        """(B, D + 1) from past (B, T, D), kind and gap (B, T), mask (B, T) 1.0 where a row is, codes (B, F), numeric.

        Somebody without a past gets the profile's vector: masked sums are 0, not NaN.
        """
        return self.vector(past, past @ self.query, kind, gap, mask, codes, numeric)

    def vector(
        self,
        past: Tensor,
        asked: Tensor,
        kind: Tensor,
        gap: Tensor,
        mask: Tensor,
        codes: Tensor,
        numeric: Tensor,
    ) -> Tensor:
        """As ``forward``, with ``asked`` (B, T, H) = past @ query given: training asks a video once, not a row."""
        row = mask.unsqueeze(2)  # (B, T, 1)
        logit = asked + self.standing(kind * GAPS + gap)  # (B, T, H)
        attention = torch.exp(logit.clamp(-15, 15)) * row
        attention = attention / (attention.sum(1, keepdim=True) + 1e-6)
        liked = ((kind == 2) | (kind == 3)).to(past.dtype).unsqueeze(2) * row
        means = torch.cat([row / (row.sum(1, keepdim=True) + 1), liked / (liked.sum(1, keepdim=True) + 1)], 2)
        pooled = (torch.cat([attention, means], 2).transpose(1, 2) @ past).flatten(1)  # (B, (H + 2) * D)
        about = self.profile(codes).mean(1) + self.numeric(numeric)
        vector = self.mix(torch.cat([pooled, about], 1))
        return torch.cat([vector, torch.ones_like(vector[:, :1])], 1)


def sampled_softmax(scores: Tensor, target: Tensor, log_q: Tensor) -> Tensor:
    """Mean loss of in-batch softmax: scores (B, B), target video of each column (B,).

    ``log_q`` (B,), log probability that sampling brings a column's video, is subtracted so that popular videos
    are not punished for being drawn often as negatives (Yi et al., RecSys 2019). Another column with the same
    video is no negative.
    """
    same = target[:, None] == target[None, :]
    same.fill_diagonal_(False)
    logits = (scores - log_q[None, :]).masked_fill(same, -1e9)
    return nn.functional.cross_entropy(logits, torch.arange(len(scores)))
