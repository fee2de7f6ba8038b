"""The textbook pair: what any ranker has to beat. Both know a person and a video by nothing but an embedding.

``rates`` (P,) are the heads' overall rates; the biases start there, so that every step is spent on differences.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concat(nn.Module):
    """r = σ(W [u; v] + b): a linear layer over the two embeddings laid side by side, one output a head."""

    def __init__(self, people: int, videos: int, rates: Tensor, dim: int = 16) -> None:
        super().__init__()
        self.person, self.video = tables(people, videos, dim)
        self.out = nn.Linear(2 * dim, len(rates))
        with torch.no_grad():
            self.out.bias.copy_(torch.logit(rates, eps=1e-4))

    def forward(self, person_index: Tensor, video_index: Tensor) -> Tensor:
        """(B, P) probabilities from person_index (B,) or (1,) and video_index (B,)."""
        u = self.person(person_index).expand(video_index.shape[0], -1)
        return torch.sigmoid(self.out(torch.cat([u, self.video(video_index)], 1)))


class Cosine(nn.Module):
    """cf: the normalised dot product u·v / (‖u‖ ‖v‖) of two embeddings, scaled to a probability for each head."""

    def __init__(self, people: int, videos: int, rates: Tensor, dim: int = 16) -> None:
        super().__init__()
        self.person, self.video = tables(people, videos, dim)
        self.scale = nn.Parameter(torch.full((len(rates),), 2.0))
        self.shift = nn.Parameter(torch.logit(rates, eps=1e-4))

    def forward(self, person_index: Tensor, video_index: Tensor) -> Tensor:
        """(B, P) probabilities from person_index (B,) or (1,) and video_index (B,)."""
        u = nn.functional.normalize(self.person(person_index), dim=1, eps=1e-6)
        v = nn.functional.normalize(self.video(video_index), dim=1, eps=1e-6)
        cosine = (u * v).sum(1, keepdim=True)  # (B, 1)
        return torch.sigmoid(cosine * self.scale + self.shift)


def tables(people: int, videos: int, dim: int) -> tuple[nn.Embedding, nn.Embedding]:
    """Embeddings with row 0 for somebody, or something, never seen."""
    person, video = nn.Embedding(people, dim), nn.Embedding(videos, dim)
    for table in (person, video):
        nn.init.normal_(table.weight, std=0.1)
    return person, video
