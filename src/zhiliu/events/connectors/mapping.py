"""Which column of a file is which field: ``--map field=column``, constants, units, columns to ignore."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zhiliu.events.connectors.fields import FIELDS, FileError, Kind

TIME_UNITS = {"s": 1000.0, "ms": 1.0, "us": 0.001, "iso": 0.0}
"""Unit → milliseconds; ``iso`` is text such as 2022-04-25T08:00:00+08:00 (no offset: UTC)."""
LENGTH_UNITS = {"s": 1000.0, "ms": 1.0}


class MappingError(FileError):
    """A mapping that does not fit the file or the fields."""


class FlagError(MappingError):
    """A mapping that is wrong whatever the file: bad syntax, an unknown field or unit."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How to read a file as ``kind``. An empty one takes columns that carry a field's own name."""

    columns: Dict[str, str] = field(default_factory=dict)
    """Field → column. ``props.NAME`` puts a column into ``props`` under NAME."""
    constants: Dict[str, str] = field(default_factory=dict)
    """Field → the same text for every row."""
    units: Dict[str, str] = field(default_factory=dict)
    """Field → unit of the file's numbers, for times and milliseconds."""
    ignore: tuple[str, ...] = ()
    """Columns left out on purpose; any other unknown column is an error."""

    @classmethod
    def from_file(cls, path: Path) -> Mapping:
        """Read ``[columns]``, ``[constants]``, ``[units]`` and ``ignore = [...]`` from TOML.

        Raises:
            MappingError: unreadable file, or a table with another name.

        """
        try:
            tables = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise MappingError(f"{path}: not a readable TOML file ({error})") from None
        known = {"columns", "constants", "units", "ignore"}
        if unknown := sorted(set(tables) - known):
            raise MappingError(f"{path}: unknown table {unknown[0]!r}; known are {', '.join(sorted(known))}")
        columns, constants, units = (
            {name: str(value) for name, value in _flat(tables.get(table, {})).items()}
            for table in ("columns", "constants", "units")
        )
        return cls(columns, constants, units, tuple(map(str, tables.get("ignore", ()))))

    def with_flags(
        self,
        columns: Sequence[str] = (),
        constants: Sequence[str] = (),
        units: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> Mapping:
        """The same with ``field=value`` flags laid over it.

        Raises:
            FlagError: a flag without ``=``.

        """
        return Mapping(
            {**self.columns, **_pairs("--map", "column", columns)},
            {**self.constants, **_pairs("--set", "value", constants)},
            {**self.units, **_pairs("--unit", "unit", units)},
            (*self.ignore, *ignore),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A mapping settled for one file: which column feeds which field."""

    kind: Kind
    columns: Dict[str, str]
    props: Dict[str, str]
    """Name inside ``props`` → column."""
    constants: Dict[str, str]
    factor: Dict[str, float]
    """Field → what its numbers are multiplied by; 0 means ISO text."""


def plan(kind: Kind, mapping: Mapping, file_columns: Sequence[str], name: str) -> Plan:
    """Settle a mapping for the columns a file has.

    Raises:
        MappingError: unknown field, absent column, unknown column of the file, required field without one.

    """
    fields = FIELDS[kind]
    for where in (mapping.columns, mapping.constants, mapping.units):
        for target in where:
            if target not in fields and not (where is mapping.columns and target.startswith("props.")):
                raise FlagError(
                    f"{target!r} is not a field of {kind}; fields are {', '.join(fields)}, props.NAME"
                )
    for target, column in mapping.columns.items():
        if column not in file_columns:
            raise MappingError(
                f"{name}: no column {column!r} (mapped to {target!r}); it has {', '.join(file_columns)}"
            )
    taken = set(mapping.columns.values())
    direct = {f: c for f, c in mapping.columns.items() if not f.startswith("props.")}
    props = {f.removeprefix("props."): c for f, c in mapping.columns.items() if f.startswith("props.")}
    for column in file_columns:
        if column in taken or column in mapping.ignore:
            continue
        if column not in fields or column in mapping.constants or column in direct:
            raise MappingError(
                f"{name}: unknown column {column!r}; known are {', '.join(fields)}. "
                f"Say --map FIELD={column}, --map props.{column}={column} or --ignore {column}"
            )
        direct[column] = column
    if props and "props" in direct:
        raise MappingError(f"{name}: both a props column and props.NAME are mapped; choose one")
    result = Plan(kind, direct, props, mapping.constants, _factors(kind, mapping.units))
    _check_required(result, file_columns, name)
    return result


def _check_required(settled: Plan, file_columns: Sequence[str], name: str) -> None:
    given = {*settled.columns, *settled.constants}
    missing = [
        target for target, rule in FIELDS[settled.kind].items() if rule.required and target not in given
    ]
    if settled.kind == "events" and not given & {"person_id", "session_id"}:
        missing.append("person_id")
    if missing:
        raise MappingError(
            f"{name}: no column for {', '.join(missing)}; it has {', '.join(file_columns)}. "
            f"Say --map {missing[0]}=COLUMN"
        )


def _factors(kind: Kind, units: Dict[str, str]) -> dict[str, float]:
    factor: dict[str, float] = {}
    for target, unit in units.items():
        known = TIME_UNITS if FIELDS[kind][target].is_time else LENGTH_UNITS
        if not (FIELDS[kind][target].is_time or target.endswith("_ms")):
            raise FlagError(f"{target!r} has no unit; times and fields in _ms have one")
        if unit not in known:
            raise FlagError(f"unknown unit {unit!r} for {target!r}; known are {', '.join(known)}")
        factor[target] = known[unit]
    return factor


def _pairs(flag: str, what: str, pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise FlagError(f"{flag} {pair!r}: write {flag} FIELD={what.upper()}")
        found[name] = value
    return found


def _flat(table: Dict[str, object]) -> dict[str, object]:
    """``[columns.props]`` and ``"props.x" = …`` mean the same."""
    flat: dict[str, object] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": deep for inner, deep in value.items()})
        else:
            flat[name] = value
    return flat
