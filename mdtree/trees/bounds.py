"""Bounds: which numbers a tree file may hold, so that nothing computed from them overflows."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

__all__ = ["STRICT", "Count", "Number", "Positive", "Share"]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # for what is read from files

Number = Annotated[float, Field(ge=-1e300, le=1e300)]
Positive = Annotated[float, Field(ge=1e-12, le=1e12)]
Count = Annotated[float, Field(ge=0, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1)]
