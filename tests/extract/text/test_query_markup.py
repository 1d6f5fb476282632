"""Names and code stay as they are written, markup goes, in each language's own format."""

from __future__ import annotations

import pytest

from extract.text.markup import Hidden, unwrap
from extract.text.query import normalise_query
from ingest.languages import LANGUAGES

EVERY = tuple(LANGUAGES)
HTML = ("java", "php", "javascript", "typescript")
NO_HTML = ("python", "go", "ruby", "rust")
EMPHASIS = tuple(language for language in EVERY if language != "go")


def query(documentation: str, language: str) -> str:
    return normalise_query(documentation, language, "doc_comment").text


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize(
    "text",
    [
        "Wrap __getitem__ and __proto__ of the given item.",
        "Pass *args and **kwargs on to the other one.",
        "Pass (*args, **kwargs) or (*args, *rest) on to it.",
        "Multiply a * b * c and x*y*z in one go.",
        "Sort a List<String> or Map<K, V> or Box<T> by its key.",
        "Copy the []byte of a map[string]int into s[i] and m[i][j].",
        "Match *.py, *.pyi and src/*.txt in the folder.",
        "Read the FLASK_ and class_ names out of the environment.",
        "Call requires_grad_ and mul_ on the tensor in place.",
        "Set the HTTP_* keys of the $_SERVER array again.",
        "Append an item to the queue[0] of the a.b[c] object.",
    ],
)
def test_names_and_code_are_content(text: str, language: str) -> None:
    assert query(text, language) == text


@pytest.mark.parametrize("language", EVERY)
def test_code_in_ticks_is_no_markup(language: str) -> None:
    text = "Add a `<table>` with `&lt;`, `*x*`, `__init__`, `a_`, `[x][y]` and `{@x}` to the page."
    assert query(text, language) == text.replace("`", "")


@pytest.mark.parametrize("language", EMPHASIS)
def test_emphasis_is_unwrapped(language: str) -> None:
    text = "Return the **old value** of *name*, *not some_name* or `a*b*c`."
    assert query(text, language) == "Return the old value of name, not some_name or a*b*c."


@pytest.mark.parametrize("language", ["java", "php", "javascript", "ruby", "rust", "typescript"])
def test_underlines_are_emphasis_where_no_name_looks_so(language: str) -> None:
    text = "Return _all_ of __the old__ ones, __not__ those of __FILE__ or __proto__."
    assert query(text, language) == (
        "Return all of the old ones, not those of __FILE__ or __proto__."
    )
    assert query("Returns the _path_. Reads _fp_.map and a_b_.", language) == (
        "Returns the path. Reads _fp_.map and a_b_."
    )


@pytest.mark.parametrize("language", HTML)
def test_html_is_markup_where_the_format_is_html(language: str) -> None:
    assert query("Joins <b>all</b> a &lt; b &amp; c<br>of <i>them</i>.", language) == (
        "Joins all a < b & c of them."
    )
    assert query("Joins <code>a &lt; b</code> and <tt>x*y*z</tt> too.", language) == (
        "Joins a < b and x*y*z too."
    )


@pytest.mark.parametrize("language", NO_HTML)
def test_html_is_content_where_the_format_is_none(language: str) -> None:
    text = "Replaces each &lt; and &amp; by its <br> and <p>, then a <table> of <tr>."
    assert query(text, language) == text


@pytest.mark.parametrize("language", EVERY)
def test_a_tag_that_is_spoken_of_is_a_noun(language: str) -> None:
    text = "Adds a <table> element with the <tr> and <td> tags to every <p> of it."
    assert query(text, language) == text


@pytest.mark.parametrize("language", HTML)
def test_a_reference_ends_in_a_semicolon(language: str) -> None:
    text = "Builds the query ?a=1&copy=2&lt=3 of the page."
    assert query(text, language) == text


def test_what_a_page_hides_is_no_summary() -> None:
    text = (
        "<details>\n<summary>Deadlock example</summary>\n\nx\n</details>\n\nReturns the last value."
    )
    assert query(text, "rust") == query(text, "java") == "Returns the last value."
    text = "Looks for `<pre>` in `<details>` like\n    <summary><b>faq</b></summary>\nof a page."
    assert query(text, "python").startswith("Looks for <pre> in <details> like <summary>")


@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        ("Return the :class:`~pkg.transforms.Transform` of *ax*.", "Return the Transform of ax."),
        ("Return the `~pkg.transforms.Transform` of it.", "Return the Transform of it."),
        ("Return the ~pkg.transforms.Transform of ~/home.", "Return the Transform of ~/home."),
        ("Call :py:meth:`.Client.run` or :func:`!go` here.", "Call Client.run or go here."),
        ("Return a :class:`Box`\\s of :class:`Pen`\\ s now.", "Return a Boxs of Pens now."),
        ("Return :class: `Box` and :func:'run' of it.", "Return Box and 'run' of it."),
        ("Use the `given link`_ and `title <target>`__ here.",
         "Use the given link and title here."),
        ("Pass \\*args and \\**kwargs to `f`, not *this*.",
         "Pass *args and **kwargs to f, not this."),
        ("Compute the similarity_ of both.\n\n.. _similarity: http://a.b",
         "Compute the similarity of both."),
        ("Compute the similarity_ of both.", "Compute the similarity_ of both."),
        ("Compute the flow [1]_ of `.Axes`, as described in [2]_.", "Compute the flow of Axes."),
        ("Count the operations ([Cor]_) as in [1]_, [2]_ and [3]_ of it.",
         "Count the operations of it."),
        ("Read the :ref:`page<pages>` or :doc:`the guide <guide>` now.",
         "Read the page or the guide now."),
        ("Read all the `.txt` files of it.", "Read all the .txt files of it."),
        ("Explain the role ``:mpltype:`` here.", "Explain the role :mpltype: here."),
        ("Add a box to ``a[i]_`` of [int] and [x].", "Add a box to a[i]_ of [int] and [x]."),
        ("Read [Model][pkg.Model] and [`Field`][] of it.", "Read Model and Field of it."),
        ("See [the guide](https://a.b/c_(d)) or a[i](x).", "See the guide or a[i](x)."),
        ("!!! note \"Beta\"\n    It may change.\n\nReturn the schema of it.",
         "Return the schema of it."),
        ("Return the schema of it.\n!!! warning\n    Never.", "Return the schema of it."),
        (".. deprecated:: 1.2\n   Use that.\n\nReturn the schema of it.",
         "Return the schema of it."),
        (".. function:: eye(n)\n\n   Return the n-by-n matrix.", "Return the n-by-n matrix."),
        ("+ Adds the two vectors at once.", "Adds the two vectors at once."),
        ("Return the\n@property of the class.", "Return the @property of the class."),
        ("Return the value.\n@param x: y", "Return the value."),
    ],
)  # fmt: skip
def test_rest_is_unwrapped(documentation: str, expected: str) -> None:
    assert query(documentation, "python") == expected


@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        ("Asserts the \\target is \\loaded by\n\\Rails itself.",
         "Asserts the target is loaded by Rails itself."),
        ("Matches \\d and /\\A[+-]?\\d+\\z/ of it.", "Matches \\d and /\\A[+-]?\\d+\\z/ of it."),
        ("Calls {create!}[rdoc-ref:Base#create!] and {Foo::Bar} now.",
         "Calls create! and Foo::Bar now."),
        ("Sets #{name} of {id: 1} at {#run the start}.", "Sets #{name} of {id: 1} at the start."),
        ("Returns <tt><option></tt> tags with <code>a < b</code> in <b>bold</b>.",
         "Returns <option> tags with a < b in bold."),
        ("Returns the +a_b_c+ of *all* <tt><p></tt>.", "Returns the a_b_c of all <p>."),
        ("Parses the document.\ndata::\n  the XML\nmode:: how", "Parses the document."),
        ("Parses the document.\n[+mode+] how", "Parses the document."),
        ("data:: the XML to parse", ""),
        ("The value of\n@name is kept as it is.", "The value of @name is kept as it is."),
        ("@param [String] a\n  the name\n@return [Integer]\n\nCounts the letters of it.",
         "Counts the letters of it."),
        ("call-seq:\n  foo(a) -> b\n\nReturns the +name+ of it.", "Returns the name of it."),
    ],
)  # fmt: skip
def test_rdoc_and_yard_are_unwrapped(documentation: str, expected: str) -> None:
    assert query(documentation, "ruby") == expected


@pytest.mark.parametrize(
    ("documentation", "language", "expected"),
    [
        ("Reads [`[]byte`](https://a.b) and [[]byte](#x) of it.", "go",
         "Reads []byte and []byte of it."),
        ("Reads [`[u8]`], [`Vec<T>`](Vec) and [the parser][p].", "rust",
         "Reads [u8], Vec<T> and the parser."),
        ("Treats a `[` without a matching `]` literally.", "rust",
         "Treats a [ without a matching ] literally."),
        ("Matches \\w and \\s of\n\\d in the haystack.", "rust",
         "Matches \\w and \\s of \\d in the haystack."),
        ("Builds the object of\n\\Foo\\Bar that was asked for.", "php",
         "Builds the object of \\Foo\\Bar that was asked for."),
        ("Must begin with \\/\\*#\\_\\_PURE\\_\\_\\*\\/ always.", "typescript",
         "Must begin with /*#__PURE__*/ always."),
        ("Joins {@code a<b>c} and {@literal &lt;} of {@link Foo#bar}.", "java",
         "Joins a<b>c and &lt; of Foo.bar."),
        ("Trims by {@code {@link #trim(String)}} of it.", "java", "Trims by trim(String) of it."),
        ("Waits for [the user]{@link http://a.b} of it.", "javascript",
         "Waits for the user of it."),
        ("<b>Deprecated</b> Searches the index of it.", "javascript", "Searches the index of it."),
        ("Creates a Foo<A> of a Bar<A, B> at once.", "java",
         "Creates a Foo<A> of a Bar<A, B> at once."),
        ("First one.\n<p>\nA <p> tag starts it.", "java", "First one. A <p> tag starts it."),
    ],
)  # fmt: skip
def test_other_formats(documentation: str, language: str, expected: str) -> None:
    assert query(documentation, language) == expected


def test_hidden_pieces_come_back_even_those_inside_of_pieces() -> None:
    hidden = Hidden()
    text = unwrap("{@code a `b` c} and `d`", "java", hidden)
    assert hidden.show(text) == "a b c and d"
    outer = hidden.hide(f"<{hidden.hide('x')}>")
    assert hidden.show(outer) == "<x>"


def test_no_more_is_hidden_than_there_are_private_characters() -> None:
    text = "`a` " * 4_900
    assert query(text, "go") == ("a " * 4_900).strip()
    hidden = Hidden()
    pieces = [hidden.hide("x") for _ in range(6_500)]
    assert pieces[6_399] != "x" and pieces[6_400] == "x"
    assert hidden.show("".join(pieces)) == "x" * 6_500


def test_private_characters_of_a_text_are_taken_out() -> None:
    assert query("Opens \ue000 the `door` &#xE000; of it.", "java") == "Opens the door of it."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Returns an [os/exec.Cmd] for it.", "Returns an os/exec.Cmd for it."),
        ("Calls [*github.com/a-b/c.Client.Do] once.", "Calls *github.com/a-b/c.Client.Do once."),
        ("Answers with [yes/no] or [a/b.c].", "Answers with [yes/no] or [a/b.c]."),
        ("Reads m[os/exec.Cmd] twice.", "Reads m[os/exec.Cmd] twice."),
    ],
)
def test_links_of_go_may_name_a_package_by_its_path(text: str, expected: str) -> None:
    assert query(text, "go") == expected


@pytest.mark.parametrize("language", EVERY)
@pytest.mark.parametrize("pattern", ["^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$", "[A-Z][a-z]*", "[^a][b]?"])
def test_classes_of_characters_are_no_links(pattern: str, language: str) -> None:
    text = f'Checks whether the name is valid ("{pattern}").'
    assert query(text, language) == text
