"""Rewrites the four things of CUDA C++ that no header can express.

- `__shared__ T x[n];` becomes a reference to an object that all threads of a block share;
- `__grid_constant__ const T x`, a parameter, becomes a reference to the launch's one copy;
- `kernel<<<blocks, threads, bytes, stream>>>(a, b)` becomes `hostsim::launch({…}, kernel, a, b)`;
- `__launch_bounds__(n)` is asked for where the kernel begins: a launch of more threads fails.

Comments are blanked first. Lines keep their numbers.
"""

from __future__ import annotations

import re

COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
ALIGNED = r"(?:(?:alignas|__align__)\s*\(([^()]*)\)\s*)?"
SHARED = re.compile(ALIGNED + r"\b__shared__\s+" + ALIGNED + r"([^;]*);")
DECLARATOR = re.compile(r"(.*?)\s*\b(\w+)\s*((?:\[[^\]]*\]\s*)*)", re.S)
GRID_CONSTANT = re.compile(
    r"(?:__grid_constant__\s+const|const\s+__grid_constant__)\s+([\w:]+(?:<[^()]*?>)?)\s+(\w+)"
)


def without_comments(text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found

    return COMMENT.sub(blank, text)


def split(text: str) -> list[str]:
    """The parts between commas that lie in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{<") - (character in ")]}>")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def shared(match: re.Match[str]) -> str:
    alignment, declarators = match.group(1) or match.group(2) or "1", split(match.group(3))
    kind, replaced = "", []
    for declarator in declarators:
        found = DECLARATOR.fullmatch(declarator)
        if found is None:
            raise ValueError(f"not understood: {match.group()}")
        kind = found.group(1) or kind
        name, dimensions = found.group(2), found.group(3)
        replaced.append(
            f"static char hostsim_tag_{name}; auto& {name} = hostsim::shared_object<"
            f"hostsim::Identity<{kind}{dimensions}>>(&hostsim_tag_{name}, {alignment});"
        )
    return " ".join(replaced) + "\n" * match.group().count("\n")


def kernel_begin(text: str, end: int) -> int:
    """Where the name, template arguments included, begins that ends at `end`."""
    begin, depth = end, 0
    while begin > 0:
        character = text[begin - 1]
        if character == ">":
            depth += 1
        elif character == "<":
            depth -= 1
        elif depth == 0 and not (character.isalnum() or character in "_:"):
            break
        begin -= 1
    return begin


def matching(text: str, begin: int) -> int:
    """The end of what the bracket at `begin` opens."""
    depth = 0
    for at in range(begin, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    raise ValueError("a launch without an end")


def launches(text: str) -> str:
    while (opened := text.find("<<<")) >= 0:
        closed = text.index(">>>", opened)
        end = len(text[:opened].rstrip())
        begin = kernel_begin(text, end)
        bracket = text.index("(", closed)
        last = matching(text, bracket)
        configuration = " ".join(text[opened + 3 : closed].split())
        arguments = text[bracket + 1 : last]
        lines = "\n" * text[end:bracket].count("\n")
        comma = ", " if arguments.strip() else ""
        text = (
            f"{text[:begin]}hostsim::launch(hostsim::Configuration{{{configuration}}}, "
            f"{text[begin:end]}{comma}{arguments}{lines}{text[last:]}"
        )
    return text


def bounds(text: str) -> str:
    """The most threads of a kernel, from what stands before its name to the begin of its body."""
    name = "__launch_bounds__"
    while (begin := text.find(name)) >= 0:
        end = matching(text, begin + len(name))
        most = split(text[begin + len(name) + 1 : end])[0]
        body = matching(text, text.index("(", end)) + 1
        ahead = re.match(r"\s*\{?", text[body:])
        inserted = ""
        if ahead is not None and ahead.group().endswith("{"):  # not of a declaration
            body += ahead.end()
            inserted = f" hostsim::check_threads({most});"
        lines = "\n" * text[begin:end].count("\n")
        text = f"{text[:begin]}{lines}{text[end + 1 : body]}{inserted}{text[body:]}"
    return text


def convert(text: str, path: str) -> str:
    """CUDA C++ as C++ for the simulator; `path` is what messages name."""
    text = GRID_CONSTANT.sub(r"const \1& \2", without_comments(text))
    if re.search(r"\bextern\s+__shared__", text):
        raise ValueError(f"{path}: dynamic shared memory is not simulated")
    text = SHARED.sub(shared, text)
    if "__shared__" in text:
        raise ValueError(f"{path}: __shared__ in a form that is not understood")
    return f'#line 1 "{path}"\n{bounds(launches(text))}'
