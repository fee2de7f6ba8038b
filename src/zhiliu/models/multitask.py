"""The default ranker: cross network over features and an attended history, shared experts, one tower a head.

* Low-rank cross layers with a gate of full width: DCN V2 (Wang et al. 2021, eq. 1).
* The candidate attends to the recent past, weights not normalised to one so that intensity of interest stays:
  DIN (Zhou et al. 2018, §4.3).
* Shared experts mixed by one gate a head: MMoE (Ma et al. 2018, eq. 6).
* Watch time is predicted as the quantile among videos of like length, so long videos do not win by length:
  D2Q (Zhan et al. 2022, §4).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskConfig:
    """Sizes of the network."""

    numeric: int
    """F, numeric features."""
    context_sizes: tuple[int, ...]
    person_sizes: tuple[int, ...]
    videos: int
    authors: int
    tags: int
    past: int
    """H, facts of each past row."""
    heads: int = 8
    item_dim: int = 16
    """Width of a video's vector; large: remembers single videos, small: generalises over topics."""
    code_dim: int = 4
    attention_heads: int = 2
    experts: int = 3
    expert_dims: tuple[int, ...] = (96, 48)
    cross_layers: int = 2
    dropout: float = 0.1
    id_dropout: float = 0.3
    """Share of training rows whose video id is hidden, so that a new video is scored by its content."""
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the artifact."""
        return asdict(self)


class ItemEncoder(nn.Module):
    """Video → vector: its own, its author's and the mean of its topics'. Index 0 is unknown and stays zero."""

    def __init__(self, config: MultitaskConfig) -> None:
        super().__init__()
        d = config.item_dim
        self.video = nn.Embedding(config.videos, d, padding_idx=0)
        self.author = nn.Embedding(config.authors, d, padding_idx=0)
        self.tag = nn.Embedding(config.tags, d, padding_idx=0)
        for table in (self.video, self.author, self.tag):
            nn.init.normal_(table.weight, std=0.05)
            with torch.no_grad():
                table.weight[0].zero_()

    def forward(self, video: Tensor, author: Tensor, tags: Tensor) -> Tensor:
        """(…, D) from (…,), (…,), (…, 4)."""
        present = (tags > 0).sum(-1, keepdim=True).clamp(min=1)
        vector: Tensor = self.video(video) + self.author(author) + self.tag(tags).sum(-2) / present
        return vector


class Attention(nn.Module):
    """The candidate looks at the past: (B, heads · D) from item (B, D), past (W, T, D + H)."""

    def __init__(self, item_dim: int, past: int, heads: int) -> None:
        super().__init__()
        self.heads, self.dim = heads, item_dim
        self.query = nn.Linear(item_dim, heads * item_dim)
        self.key = nn.Linear(item_dim + past, heads * item_dim)
        self.value = nn.Linear(item_dim + past, heads * item_dim)

    def forward(self, item: Tensor, past: Tensor, mask: Tensor) -> Tensor:
        """``mask`` (W, T) is 1 where there is a past row; W is B or 1."""
        w, t = past.shape[0], past.shape[1]
        query = self.query(item).view(-1, self.heads, 1, self.dim)  # (B, h, 1, D)
        key = self.key(past).view(w, t, self.heads, self.dim).permute(0, 2, 3, 1)  # (W, h, D, T)
        value = self.value(past).view(w, t, self.heads, self.dim).permute(0, 2, 1, 3)  # (W, h, T, D)
        weight = torch.sigmoid(query @ key / self.dim**0.5) * mask[:, None, None, :]  # (B, h, 1, T)
        weight = weight / (mask.sum(1).view(w, 1, 1, 1) + 1.0).sqrt()
        attended: Tensor = (weight @ value).flatten(1)  # (B, h · D)
        return attended


class Cross(nn.Module):
    """x0 ⊙ (U V x + b) + x, a low-rank DCN V2 layer."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim)

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        """(B, D) from (B, D), (B, D)."""
        crossed: Tensor = x0 * self.up(self.down(x)) + x
        return crossed


class Multitask(nn.Module):
    """Logits of the heads and of the watch-time quantile: (B, P + 1)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: MultitaskConfig) -> None:
        super().__init__()
        self.config = config
        c = config.code_dim
        self.items = ItemEncoder(config)
        self.register_buffer("mean", torch.zeros(config.numeric))
        self.register_buffer("scale", torch.ones(config.numeric))
        self.context = nn.ModuleList(code_table(n, c) for n in config.context_sizes)
        self.person = nn.ModuleList(code_table(n, c) for n in config.person_sizes)
        self.attention = Attention(config.item_dim, config.past, config.attention_heads)
        attended = config.attention_heads * config.item_dim
        codes = c * (len(config.context_sizes) + len(config.person_sizes))
        width = config.numeric + codes + config.item_dim + attended
        self.cross = nn.ModuleList(Cross(width, 32) for _ in range(config.cross_layers))
        self.experts = nn.ModuleList(
            mlp(width, config.expert_dims, config.dropout) for _ in range(config.experts)
        )
        self.gates = nn.Linear(width, (config.heads + 1) * config.experts)
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(config.expert_dims[-1], 32), nn.ReLU(), nn.Linear(32, 1))
            for _ in range(config.heads + 1)
        )
        self.direct = nn.Linear(width, config.heads + 1)

    def forward(
        self,
        numeric: Tensor,
        context: Tensor,
        person: Tensor,
        item: Tensor,
        past_item: Tensor,
        past: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """(B, P + 1) logits.

        numeric (B, F), context (B, 4) codes, person (W, fields) codes, item (B, D) and past_item (W, T, D)
        from ``items``, past (W, T, H), mask (W, T) float; W is B or 1.
        """
        b = numeric.shape[0]
        x = ((numeric - self.mean) / self.scale).clamp(-4.0, 4.0)
        parts = [x, item, self.attention(item, torch.cat([past_item, past], -1), mask)]
        parts += [table(context[:, i]) for i, table in enumerate(self.context)]
        parts += [table(person[:, i]).expand(b, -1) for i, table in enumerate(self.person)]
        x0 = torch.cat(parts, 1)  # (B, width)
        x = x0
        for layer in self.cross:
            x = layer(x0, x)
        experts = torch.stack([expert(x) for expert in self.experts], 1)  # (B, E, H)
        gates = self.gates(x0).view(b, -1, self.config.experts).softmax(-1)  # (B, P + 1, E)
        mixed = gates @ experts  # (B, P + 1, H)
        towers = torch.cat([tower(mixed[:, i]) for i, tower in enumerate(self.towers)], 1)
        logits: Tensor = towers + self.direct(x0)
        return logits


def code_table(codes: int, dim: int) -> nn.Embedding:
    """An embedding that starts near zero: a code not met in training (a weekday, a surface) must not speak."""
    table = nn.Embedding(codes, dim)
    nn.init.normal_(table.weight, std=0.05)
    return table


def mlp(width: int, dims: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear, ReLU, dropout for each of ``dims``."""
    layers: list[nn.Module] = []
    for dim in dims:
        layers += [nn.Linear(width, dim), nn.ReLU(), nn.Dropout(dropout)]
        width = dim
    return nn.Sequential(*layers)
