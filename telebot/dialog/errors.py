"""What is wrong with an agent file: where, what, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from telebot.call.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault; `line` counts from 1, `instead` tells the author what to write."""

    line: int
    problem: str
    instead: str


class BadAgentFile(ConfigError):
    """An agent file that cannot be used. All its faults are listed, the first one in fields."""

    def __init__(
        self,
        path: Path,
        line: int,
        problem: str,
        instead: str,
        more: tuple[Problem, ...] = (),
    ) -> None:
        self.path, self.line, self.problem, self.instead = path, line, problem, instead
        self.problems = (Problem(line, problem, instead), *more)
        super().__init__("\n".join(f"{path}:{p.line}: {p.problem}; {p.instead}"
                                   for p in self.problems))  # fmt: skip

    @classmethod
    def of(cls, path: Path, problems: list[Problem]) -> BadAgentFile:
        """All problems in the order of their lines; there is at least one."""
        first, *more = sorted(set(problems))
        return cls(path, first.line, first.problem, first.instead, tuple(more))
