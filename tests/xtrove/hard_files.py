"""Whole files that are hard to read: nested, wide, and long in one thing, by language."""

from __future__ import annotations

from collections.abc import Callable

Made = Callable[[int], str]
"""A file of about so many characters."""

HEADS = {"go": "package a\n", "php": "<?php\n"}
LINE = {"python": "#", "ruby": "#", "rust": "///"}
OPEN = {
    "java": "class A{n} {{\n/** Say it {n}. */\nvoid f{n}() {{ go();\n",
    "go": "// Say it {n}.\nfunc F{n}() {{ go();\n",
    "php": "/** Say it {n}. */\nfunction f{n}() {{ go();\n",
    "javascript": "/** Say it {n}. */\nfunction f{n}() {{ go();\n",
    "typescript": "/** Say it {n}. */\nfunction f{n}() {{ go();\n",
    "ruby": "# Say it {n}.\ndef f{n}\n go\n",
    "rust": "/// Say it {n}.\nfn f{n}() {{ go();\n",
    "c": "/** Say it {n}. */\nvoid f{n}() {{ go();\n",
    "cpp": "struct A{n} {{\n/** Say it {n}. */\nvoid f{n}() {{ go();\n",
    "csharp": "/** Say it {n}. */\nvoid f{n}() {{ go();\n",
    "kotlin": "/** Say it {n}. */\nfun f{n}() {{ go()\n",
    "scala": "/** Say it {n}. */\ndef f{n}() = {{ go()\n",
    "swift": "/// Say it {n}.\nfunc f{n}() {{ go()\n",
}
CLOSE = {"java": "}}\n", "ruby": "end\n", "cpp": "}};\n"}


def nested(language: str, levels: int) -> str:
    """Documented functions, each inside the one before."""
    if language == "python":
        opening = (
            f"{' ' * at}def f{at}():\n{' ' * at} 'Say it {at}.'\n{' ' * at} go()\n"
            for at in range(levels)
        )
        return "".join(opening)
    body = "".join(OPEN[language].format(n=at) for at in range(levels))
    # Closed on lines of their own, with a call between: runs of punctuation are refused.
    closing = CLOSE.get(language, "}\n") + "go()\n" * (language in ("ruby", "javascript"))
    return HEADS.get(language, "") + body + closing * levels


def wide(language: str, count: int) -> str:
    """One documented function that holds, or is followed by, as many as `count`."""
    if language == "python":
        return "def f():\n 'Say it.'\n" + "".join(
            f" def f{at}():\n  'Say it {at}.'\n  go()\n" for at in range(count)
        )
    units = "".join(OPEN[language].format(n=at) + CLOSE.get(language, "}\n") for at in range(count))
    if language in ("go", "java", "c", "cpp"):
        return HEADS.get(language, "") + units
    return (
        HEADS.get(language, "") + OPEN[language].format(n="") + units + CLOSE.get(language, "}\n")
    )


def _repeated(head: str, unit: str, tail: str) -> Made:
    return lambda size: head + unit * (size // len(unit)) + tail


def _files() -> dict[str, tuple[str, Made]]:
    files: dict[str, tuple[str, Made]] = {}
    for language in ("python", *OPEN):
        note, head = LINE.get(language, "//"), HEADS.get(language, "")
        one = "def f():\n 'Say it.'\n go()\n"
        if language != "python":
            one = OPEN[language].format(n="") + CLOSE.get(language, "}\n")
        level = 300 if language == "python" else len(OPEN[language]) + 8

        def many(size: int, name: str = language, level: int = level) -> str:
            return nested(name, size // level)

        def flat(size: int, name: str = language) -> str:
            return wide(name, size // 45)

        files[f"{language}: nested functions"] = (language, many)
        files[f"{language}: many functions"] = (language, flat)
        for name, unit in {
            "note lines": f"{note} a\n",
            "empty notes": f"{note}\n",
            "notes and blank lines": f"{note} a\n\n",
            "long notes": f"{note} " + "a " * 400 + "\n",
            "nested brackets": "[\na,",
            "nested calls": "f(\n",
            "chained calls": "a.\n",
            "operators": "a +\n",
            "strings": "'a'\n",
            "open strings": "'\n",
        }.items():
            files[f"{language}: {name}"] = (language, _repeated(head, unit, "\n" + one))
            files[f"{language}: {name} behind"] = (language, _repeated(head + one, unit, "\n"))
    return files


def _single() -> dict[str, tuple[str, Made]]:
    return {
        "python: comments after a docstring": (
            "python",
            _repeated("def f():\n 'Say it.'\n", " # # # #\n", " go()\n"),
        ),
        "python: comments at the end": (
            "python",
            lambda size: nested("python", 120) + (" " * 121 + "#\n") * (size // 200),
        ),
        "python: statements and a comment below nested functions": (
            "python",
            lambda size: (
                nested("python", 120) + (" " * 121 + "go()\n") * (size // 200) + " " * 121 + "#\n"
            ),
        ),
        "python: decorators": ("python", _repeated("", "@a\n", "def f():\n 'Say it.'\n go()\n")),
        "python: broken": (
            "python",
            _repeated("def f():\n 'Say it.'\n go(\n1)\n", "@a(\n1)\n", "def g():\n 'x'\n"),
        ),
        "ruby: calls of a chain": (
            "ruby",
            _repeated("# Say it.\ndef f\n go\nend\nx = ", "a.\n", "a\n"),
        ),
        "rust: attributes": ("rust", _repeated("/// Say it.\n", "#[a]\n", "fn f() { go(); }\n")),
        "rust: modules": (
            "rust",
            _repeated("", "#[cfg(test)]\nmod a {\n", "/// Say it.\nfn f() { go(); }\n"),
        ),
        "java: comments in a header": (
            "java",
            _repeated("class A {\n/** Say it. */\npublic ", "/* a */\n", "void f() { go(); }\n}"),
        ),
        "java: comments in annotations": (
            "java",
            _repeated("class A {\n@B({", "/** a */\n1,", "1})\nvoid f() { go(); }\n}"),
        ),
        "javascript: arrow functions": (
            "javascript",
            lambda size: (
                "/** Say it. */\nconst f = () => {\n" * (size // 34) + "}\n" * (size // 34)
            ),
        ),
        "javascript: objects": ("javascript", _repeated("x = ", "{a:\n", "1\n")),
        "typescript: overloads": (
            "typescript",
            _repeated("/** Say it. */\n", "function f(a: A): B;\n", "function f() { go(); }\n"),
        ),
    }


FILES: dict[str, tuple[str, Made]] = _files() | _single()
"""By name: the language, and what makes the file."""
