"""What a file says about its own licence: every wording, in the syntax of every language."""

from __future__ import annotations

import time

import pytest

from ingest.languages import LANGUAGES
from ingest.licenses.file_license import file_licence
from ingest.licenses.policy import RESTRICTED

GPL_NOTICE = """This program is free software: you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation, either version 3 of the License, or
(at your option) any later version.

You should have received a copy of the GNU General Public License
along with this program.  If not, see <https://www.gnu.org/licenses/>."""
MPL_NOTICE = """This Source Code Form is subject to the terms of the Mozilla Public
License, v. 2.0. If a copy of the MPL was not distributed with this
file, You can obtain one at http://mozilla.org/MPL/2.0/."""
MIT_TEXT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction. The above copyright notice and this
permission notice shall be included in all copies or substantial portions of
the Software."""

CODE = {
    "python": "x = 1\n",
    "ruby": "x = 1\n",
    "javascript": "let x = 1;\n",
    "typescript": "let x: number = 1;\n",
    "java": "class A {}\n",
    "go": "var x = 1\n",
    "rust": "fn f() {}\n",
    "php": "function f() {}\n",
    "c": "int x = 1;\n",
    "cpp": "int x = 1;\n",
    "csharp": "class A {}\n",
    "kotlin": "class A\n",
    "scala": "class A\n",
    "swift": "class A {}\n",
}
BLOCK = ("/*\n", " * ", "\n */\n")
DOC = ("/**\n", " * ", "\n */\n")
LINES = ("", "// ", "\n")
HASH = ("", "# ", "\n")
STYLES: dict[str, list[tuple[str, tuple[str, str, str]]]] = {
    "c": [("", BLOCK), ("#ifndef A_H\n#define A_H 1 \\\n + 2\n#include <a.h>\n\n", LINES)],
    "cpp": [("", LINES), ("#pragma once\n", DOC)],
    "csharp": [
        ("", LINES),
        ("#nullable enable\nusing System.IO;\nnamespace A.B;\n\n", BLOCK),
    ],
    "kotlin": [("", DOC), ('#!/usr/bin/env kotlin\n@file:JvmName("A")\n\npackage a.b\n', LINES)],
    "scala": [("", BLOCK), ("package a.b\n\nimport c.{D, E}\n", DOC)],
    "swift": [("", LINES), ("#!/usr/bin/swift\n@testable import A\n", BLOCK)],
    "python": [
        ("", HASH),
        ("#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n\n", HASH),
        ("", ('"""', "", '"""\n')),
        ("# Foo\n\n", ("r'''\n", "    ", "\n'''\n")),
        ('"""Foo."""\n\nimport os\nfrom a import (\n    b,\n)\n\n', HASH),
    ],
    "ruby": [
        ("# frozen_string_literal: true\n\n", HASH),
        ("#!/usr/bin/env ruby\n", ("=begin\n", "", "\n=end\n")),
        ('require "set"\n', HASH),
    ],
    "javascript": [
        ("", BLOCK),
        ("#!/usr/bin/env node\n'use strict';\n", LINES),
        ("", ("/*!\n", " * ", "\n */\n")),
        ("import a, {\n  b\n} from 'c';\n", DOC),
        ("", ("", "<!-- ", "\n")),
    ],
    "typescript": [
        ("", DOC),
        ('/// <reference types="node" />\n', LINES),
        ("import { a } from 'b';\nimport type { C } from 'd';\n", BLOCK),
    ],
    "java": [
        ("", BLOCK),
        ("package a.b;\n\n", DOC),
        ("package a.b;\nimport c.D;\n\n", LINES),
    ],
    "go": [
        ("", LINES),
        ("//go:build linux\n\n", LINES),
        ("package a\n\n", BLOCK),
        ('package a\n\nimport (\n\t"b"\n)\n\n', LINES),
    ],
    "rust": [
        ("", LINES),
        ("", ("", "//! ", "\n")),
        ("#![no_std]\nuse a::{b, c};\n", BLOCK),
    ],
    "php": [
        ("<?php\n", DOC),
        ("<?php\n\ndeclare(strict_types=1);\n\nnamespace A\\B;\n\nuse C\\D;\n\n", DOC),
        ("#!/usr/bin/env php\n<?php\n", HASH),
        ("", ("<!--\n", "", "\n-->\n<?php\n")),
        ("<?php ", LINES),
    ],
}


def commented(language: str, style: int, text: str) -> bytes:
    before, (start, mark, end) = STYLES[language][style]
    body = "\n".join(f"{mark}{line}".rstrip() for line in text.split("\n"))
    return f"{before}{start}{body}{end}{CODE[language]}".encode()


def said(text: str, language: str = "java") -> tuple[str, ...]:
    own = file_licence(commented(language, 0, text), language)
    return own.ids if own is not None else ()


ALL_STYLES = [(language, style) for language in LANGUAGES for style in range(len(STYLES[language]))]


@pytest.mark.parametrize(("language", "style"), ALL_STYLES)
def test_every_comment_that_may_stand_before_the_code_is_read(language: str, style: int) -> None:
    for text, expected in (
        ("Foo.\n\nSPDX-License-Identifier: GPL-3.0-or-later", "GPL-3.0-or-later"),
        (f"Copyright (C) 2012 A\n\n{GPL_NOTICE}", "GPL-3.0-or-later"),
        (MPL_NOTICE, "MPL-2.0"),
        (f"Copyright A\n\n{MIT_TEXT}", "MIT"),
    ):
        own = file_licence(commented(language, style, text), language)
        assert own is not None and own.ids == (expected,), text


@pytest.mark.parametrize(("language", "style"), ALL_STYLES)
def test_behind_the_first_code_nothing_is_read(language: str, style: int) -> None:
    mark = "#" if language in ("python", "ruby") else "//"
    before = commented(language, style, "Foo.").decode()
    notice = "\n".join(f"{mark} {line}" for line in GPL_NOTICE.split("\n"))
    tag = f"{mark} SPDX-License-Identifier: GPL-3.0-only"
    assert file_licence(f"{before}{notice}\n{tag}\n".encode(), language) is None
    assert file_licence(b"\n" * 8192 + commented(language, style, GPL_NOTICE), language) is None


GNU = "under the terms of the GNU"
NOTICES: list[tuple[str, tuple[str, ...]]] = [
    # Tags, by the logic of SPDX expressions.
    ("SPDX-License-Identifier: MIT", ("MIT",)),
    ("SPDX-License-Identifier: MIT OR GPL-2.0-only", ("GPL-2.0-only OR MIT",)),
    ("SPDX-License-Identifier: (MIT AND GPL-2.0-only)", ("GPL-2.0-only", "MIT")),
    ("SPDX-License-Identifier: GPL-2.0+ */", ("GPL-2.0-or-later",)),
    ("SPDX-License-Identifier: Apache 2.0", ("Apache-2.0",)),
    ("SPDX-License-Identifier: LicenseRef-Acme-Proprietary", (RESTRICTED,)),
    ("SPDX-License-Identifier: Acme", ("NOASSERTION",)),
    ("spdx-license-identifier: ISC\nSPDX-License-Identifier: MIT", ("ISC", "MIT")),
    (
        "SPDX-License-Identifier: GPL-2.0-only WITH Classpath-exception-2.0",
        ("GPL-2.0-only WITH Classpath-exception-2.0",),
    ),
    # Notices.
    (f"you can redistribute it and/or modify\nit {GNU} Lesser General Public\nLicense as published "
     "by the Free Software Foundation; either\nversion 2.1 of the License, or (at your option) any "
     "later version.", ("LGPL-2.1-or-later",)),
    (f"It may be used {GNU} Affero General Public License version 3.", ("AGPL-3.0-only",)),
    (f"it {GNU} General Public License version 2 only, as\npublished by the Free Software "
     "Foundation. Acme designates this\nparticular file as subject to the \"Classpath\" exception.",
     ("GPL-2.0-only",)),
    ("Foo. If not, you should have received a copy of the GNU General Public License along\nwith "
     "this library.", ("GPL-1.0-or-later",)),
    ("All rights reserved. This program and the accompanying materials\nare made available under "
     "the terms of the Eclipse Public License v1.0\nwhich accompanies this", ("EPL-1.0",)),
    ("The contents of this file are subject to the Mozilla Public License Version\n1.1 (the "
     "\"License\")", ("MPL-1.1",)),
    ("The contents of this file are subject to the terms of the Common Development\nand "
     "Distribution License (the License).", ("CDDL-1.0",)),
    ("Version: MPL 1.1/GPL 2.0/LGPL 2.1\n\nThe contents of this file are subject to the Mozilla "
     "Public License Version\n1.1", ("MPL-1.1",)),
    ("Foo plugin\nReleased under the GPL", ("GPL-1.0-or-later",)),
    ("Foo is licensed under GPLv3", ("GPL-3.0-only",)),
    ("Copyright 2010 by Foo, licensed under LGPL v2.1+", ("LGPL-2.1-or-later",)),
    ("Portions licensed under the CC BY-NC-SA 4.0 license.", ("CC-BY-NC-SA-4.0",)),
    ("Licensed under a Creative Commons Attribution-NoDerivs 3.0 License", ("CC-BY-ND-4.0",)),
    ("Licensed under the Elastic License 2.0", ("Elastic-2.0",)),
    ("Licensed under Apache 2.0 with the Commons Clause, at your option",
     ("Apache-2.0", RESTRICTED)),
    ("Licensed under the EUPL", ("EUPL-1.2",)),
    # Several licences.
    ("Dual licensed under the MIT and GPL licenses:\nhttp://www.opensource.org/licenses/"
     "mit-license.php\nhttp://www.gnu.org/licenses/gpl.html", ("GPL-1.0-or-later OR MIT",)),
    ("Licensed under the Apache License, Version 2.0 <LICENSE-APACHE or\nhttp://www.apache.org/"
     "licenses/LICENSE-2.0> or the MIT license\n<LICENSE-MIT or http://opensource.org/licenses/MIT>"
     ", at your option.", ("Apache-2.0 OR MIT",)),
    ("Licensed under the MIT and the GPL licenses.", ("GPL-1.0-or-later", "MIT")),
    ("Licensed under the MIT license or a commercial license.", ("MIT",)),
    ("subject to the terms of either the GNU General Public License Version 2 only (\"GPL\")\nor "
     "the Common Development and Distribution License(\"CDDL\")", ("CDDL-1.0 OR GPL-2.0-only",)),
    ("You can choose between two licenses when using this package:\n  1) GNU GPLv2\n  2) PSF "
     "license for Python 2.2", ("GPL-2.0-only OR PSF-2.0",)),
    # Fields and lines.
    ("@license MIT", ("MIT",)),
    ("@license    http://www.gnu.org/licenses/gpl-2.0.html GPL v2", ("GPL-2.0-only",)),
    (":license: GPL-3.0-or-later", ("GPL-3.0-or-later",)),
    ("License:\n  GPLv3+", ("GPL-3.0-or-later",)),
    ("License: Proprietary", (RESTRICTED,)),
    ("License: MIT/Apache-2.0", ("Apache-2.0 OR MIT",)),
    ("Foo\nGPLv3", ("GPL-3.0-only",)),
    ("GNU GENERAL PUBLIC LICENSE", ("GPL-1.0-or-later",)),
    ("Foo 3.7 | @a @b | MIT/GPL2 Licensed", ("GPL-2.0-only OR MIT",)),
    # What allows nothing.
    ("Unauthorized copying of this file, via any medium is strictly prohibited\nProprietary and "
     "confidential", (RESTRICTED,)),
    ("Copyright Acme. All rights reserved. Unauthorised use is prohibited.", (RESTRICTED,)),
    ("ACME CONFIDENTIAL AND PROPRIETARY", (RESTRICTED,)),
    ("This source code contains the confidential and proprietary information of Acme.",
     (RESTRICTED,)),
    ("This file may not be copied, in whole or in part, without the prior written consent of Acme",
     (RESTRICTED,)),
    ("Reproduction or distribution of this material is strictly forbidden", (RESTRICTED,)),
    ("Protected by trade secret and copyright law.", (RESTRICTED,)),
    ("Copyright Acme, all rights reserved. Unauthorized copying of this file.", (RESTRICTED,)),
    ("No part of this file may be copied or reproduced.", (RESTRICTED,)),
    ("This code is not for redistribution.", (RESTRICTED,)),
    ("You may not distribute or sell this software.", (RESTRICTED,)),
    ("You may not reproduce this software.", (RESTRICTED,)),
    ("Dissemination of this information or reproduction of this material is strictly forbidden "
     "unless prior written permission is obtained.", (RESTRICTED,)),
    ("Free for private use. Not for commercial use!", (RESTRICTED,)),
    (f"{MIT_TEXT}\n\nThe Software shall be used for Good, not Evil.", ("MIT", RESTRICTED)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ids"), NOTICES)
def test_what_a_notice_says(text: str, ids: tuple[str, ...]) -> None:
    assert sorted(said(text)) == sorted(ids)


@pytest.mark.parametrize(
    "text",
    [
        "Helpers for licences. The table is compatible with the GPL, unlike the one before.",
        "Checks whether all dependencies are licensed under the GPL.",
        "Reads SPDX-License-Identifier: tags from files.",
        "Links against GPL programs work too: see GPL-3.0 section 7.",
        "Lists every package that is not licensed under the GPL.",
        "Licensed under a GPL-compatible license, see LICENSE.",
        "Copyright (c) 2010 Foo. All rights reserved.",
        "Copyright 2009 The Go Authors. All rights reserved.\nUse of this source code is governed "
        "by a BSD-style\nlicense that can be found in the LICENSE file.",
        "OAuth for confidential clients, with a proprietary extension of the protocol.",
        "Lexer for the Concise data definition language (CDDL).",
        "Handles `LicenseRef-Proprietary` and others.",
        "This file is part of Foo.\n\n(c) Foo <foo@example.org>\n\nFor the full copyright and "
        "license information, please view the LICENSE\nfile that was distributed with this code.",
        "Asks for permission before a file is distributed to other nodes.",
        "For internal use only.",
        # Words of proprietary notices, about other things.
        "A guard against unauthorized use of the API and unauthorized modification of data.",
        "Detects unauthorized copying and distribution of tokens.",
        "Modification of the list is not permitted while it is read.",
        "Distribution of tasks over nodes is not allowed before the start.",
        "Workers do not redistribute load. You may not copy handles.",
        "No part of the array may be null. Keys must not be transmitted without a token.",
        "Clients, confidential or public, have secrets.",
    ],
)
def test_what_says_nothing(text: str) -> None:
    for language in LANGUAGES:
        assert said(text, language) == ()


BSD_TEXT = """Copyright (c) 2010, Foo. All rights reserved.

Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
Redistributions in binary form must reproduce the above copyright notice.
Neither the name of Foo nor the names of its contributors may be used to endorse or promote
products derived from this software without specific prior written permission."""


def test_all_rights_reserved_beside_a_permissive_text_is_a_line_of_copyright() -> None:
    assert said(BSD_TEXT) == ("BSD-3-Clause",)
    assert said(f"Copyright Foo. All rights reserved.\n\n{MIT_TEXT}") == ("MIT",)


def test_strings_are_no_comments() -> None:
    text = "SPDX-License-Identifier: GPL-3.0-only"
    for language, code in (
        ("python", f'x = """\n{text}\n"""\n'),
        ("javascript", f"const x = `\n{text}\n`;\n"),
        ("java", f'class A {{ String x = """\n{text}\n"""; }}\n'),
        ("go", f"package a\n\nvar x = `\n{text}\n`\n"),
        ("rust", f'const X: &str = "\n{text}\n";\n'),
        ("php", f"<?php\n$x = '\n{text}\n';\n"),
        ("ruby", f'x = "\n{text}\n"\n'),
        ("typescript", f"const x = `\n{text}\n`;\n"),
    ):
        assert file_licence(code.encode(), language) is None


def test_a_python_module_may_say_it_in_a_variable() -> None:
    own = file_licence(b'"""Foo."""\nimport os\n\n__license__ = "GPL v3"\n', "python")
    assert own is not None and own.ids == ("GPL-3.0-only",)
    assert file_licence(b"__licenses__ = load('GPL v3')\n", "python") is None


SECRET = "hunter two"


@pytest.mark.parametrize(
    "text",
    [
        f"SPDX-License-Identifier: {SECRET}",
        f"License: GPL {SECRET}",
        f"Licensed to {SECRET} under the {SECRET} GPL {SECRET} and MIT",
        f"GPLv3 | {SECRET}",
        f"This file may not be {SECRET} copied by {SECRET} without {SECRET} permission",
        f"Distribution of this {SECRET} file by {SECRET} is forbidden",
        f"a copy of the GNU {SECRET} General Public License along with this",
    ],
)
def test_the_evidence_has_no_words_but_those_that_this_room_knows(text: str) -> None:
    own = file_licence(commented("java", 0, text), "java")
    assert own is not None and own.evidence
    assert "hunter" not in own.evidence and "hunter" not in repr(own.ids)


HOSTILE = [
    "licensed " * 900,
    "under " * 1300,
    "a copy of the gnu " * 450,
    "copyright licensed under the " * 280,
    "this file may not be " * 390,
    "distribution of " * 500,
    "license\n" * 1000,
    "SPDX-License-Identifier: " * 320,
    "(" * 8000,
    "gpl or " * 1100,
    "* " * 4000,
    '"' * 8000,
    "/*" * 4000,
    "import {" * 1000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_head_takes_long(text: str) -> None:
    start = time.process_time()
    for language in LANGUAGES:
        for content in (commented(language, 0, text), text.encode(), b"license " + text.encode()):
            file_licence(content, language)
    # 24 heads of 8 KB; a quadratic search takes tens of seconds.
    assert time.process_time() - start < 5
