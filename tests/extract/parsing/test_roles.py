"""What makes a function a test or a method of the language, and what only shares its name."""

from __future__ import annotations

import time

import pytest

from extract.parsing.function_finder import functions
from extract.parsing.roles import has_test_name, is_special, is_test


@pytest.mark.parametrize(
    ("name", "language", "test"),
    [
        ("test_sum", "python", True), ("testSum", "python", True), ("testSum", "java", True),
        ("TestSum", "go", True), ("BenchmarkSum", "go", True), ("test_sum", "rust", True),
        ("TestCase.test_sum", "python", True), ("test_sum", "ruby", True),
        ("test", "java", False), ("latest", "python", False), ("contest_rank", "python", False),
        ("attest", "rust", False), ("testimony", "java", False), ("Testify", "go", False),
        ("testConnection", "javascript", False), ("latest_tested", "rust", False),
        ("sum_test", "rust", False), ("", "go", False),
    ],
)  # fmt: skip
def test_names_that_may_be_tests(name: str, language: str, test: bool) -> None:
    assert has_test_name(name, language) == test


@pytest.mark.parametrize(
    ("language", "name", "code", "test"),
    [
        ("python", "test_sum", "def test_sum(tmp_path):\n    assert total(tmp_path) == 3", True),
        ("python", "test_sum", "def test_sum(self):\n    self.assertEqual(total(), 3)", True),
        ("python", "test_sum", "def test_sum():\n    with pytest.raises(ValueError):\n  f()", True),
        ("python", "test_a", "@pytest.mark.slow\ndef test_a(client):\n    client.get('/')", True),
        ("python", "test_a", "@mock.patch('x.y')\ndef test_a(y):\n    y()", True),
        ("python", "test_client", "def test_client(self, **kw):\n    return Client(self)", False),
        ("python", "test_writable", "def test_writable(path):\n    return os.access(path)", False),
        ("python", "test_x", "def test_x(a):\n    # we assert nothing\n    return a", False),
        ("java", "addsUp", "@Test\npublic void addsUp() { run(); }", True),
        ("java", "addsUp", "@ParameterizedTest\n@ValueSource(ints = {1})\nvoid addsUp() {}", True),
        ("java", "testSum", "public void testSum() { assertEquals(3, total()); }", True),
        ("java", "testConnection", "boolean testConnection() { return ping(); }", False),
        ("java", "make", "Class<?> make() { return run(new @Test Object()); }", False),
        ("php", "addsUp", "#[Test]\npublic function addsUp() { $this->run(); }", True),
        ("php", "testSum", "public function testSum() { $this->assertSame(3, f()); }", True),
        ("php", "testSum", "function testSum() { self::assertTrue(f()); }", True),
        ("php", "testNamespace", "function testNamespace() { return $this->root; }", False),
        ("ruby", "test_to_key", "def test_to_key\n  assert_respond_to model, :to_key\nend", True),
        ("ruby", "test_to_key", "def test_to_key\n  expect(model).to be\nend", True),
        ("ruby", "test_mode?", "def test_mode?\n  env == 'test'\nend", False),
        ("go", "TestSum", "func TestSum(t *testing.T) {\n}", True),
        ("go", "BenchmarkSum", "func BenchmarkSum(b *testing.B) {\n}", True),
        ("go", "FuzzSum", "func FuzzSum(f *testing.F) {\n}", True),
        ("go", "TestMain", "func TestMain(m *testing.M) {\n}", True),
        ("go", "TestConnection", "func TestConnection(address string) error {\n}", False),
        ("go", "AssertSum", "func AssertSum(t *testing.T, sum int) {\n}", False),
        ("rust", "test_sum", "fn test_sum() {\n    assert_eq!(total(), 3);\n}", True),
        ("rust", "test_fail", "pub fn test_fail(a: T) -> T {\n    a.to_error()\n}", False),
        ("javascript", "testSum", "function testSum() { assert(total() === 3) }", False),
        ("typescript", "testSum", "function testSum() { expect(total()).toBe(3) }", False),
    ],
)
def test_a_name_needs_more_than_itself(language: str, name: str, code: str, test: bool) -> None:
    assert is_test(name, language, code, known=False) is test


def test_php_documentation_may_say_that_it_is_a_test() -> None:
    code = "public function addsUp() { $this->run(); }"
    assert is_test("addsUp", "php", code, documentation="Sums add up.\n@test", known=False)
    assert not is_test("addsUp", "php", code, documentation="Sums @tested.", known=False)
    assert is_test("anything", "php", code, known=True)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("#[test]\nfn adds() {}", True),
        ('#[tokio::test(flavor = "multi_thread")]\nasync fn adds() {}', True),
        ("#[inline]\n// why\n#[ test ]\nfn adds() {}", True),
        ('#[doc(alias = "[x]")]\n#[bench]\nfn adds(b: &mut Bencher) {}', True),
        ("#[cfg(test)]\nfn helper() {}", True),
        ("#[cfg(not(test))]\nfn real() {}", False),
        ("#[testing::helper]\nfn real() {}", False),
        ("#[inline]\nfn real() { #[test] fn x() {} }", False),
        ("fn test() {}", False),
    ],
)
def test_attributes_that_make_a_rust_function_a_test(code: str, expected: bool) -> None:
    assert is_test("adds", "rust", code, known=False) is expected
    assert not is_test("adds", "go", code, known=False)


CASES = {
    "python": "class A({}):\n    def test_it(self):\n        'Runs all of it.'\n        run()\n",
    "java": "class A {} {{\n  /** Runs all of it. */\n  void testIt() {{ g(1); }}\n}}\n",
    "php": "<?php\nclass A {} {{\n  /** Runs all of it. */\n  function testIt() {{ g(1); }}\n}}\n",
    "ruby": "class A {}\n  # Runs all of it.\n  def test_it\n    run(1)\n  end\nend\n",
}


@pytest.mark.parametrize(
    ("language", "bases", "test"),
    [
        ("python", "unittest.TestCase", True), ("python", "Mixin, DjangoTestCase", True),
        ("python", "Contest", False), ("python", "", False),
        ("java", "extends TestCase", True), ("java", "extends Base<Test>", True),
        ("java", "extends Pool", False), ("java", "", False),
        ("php", "extends TestCase", True), ("php", "extends Console\\Kernel", False),
        ("ruby", "< Minitest::Test", True), ("ruby", "< ActiveSupport::TestCase", True),
        ("ruby", "< Latest", False), ("ruby", "", False),
    ],
)  # fmt: skip
def test_a_test_case_makes_tests_of_its_methods(language: str, bases: str, test: bool) -> None:
    text = CASES[language].format(bases)
    (result,) = functions(language, "a", text.encode()).functions
    assert result.documentation and result.in_tests is test


def test_another_method_of_a_test_case_is_none() -> None:
    text = CASES["python"].format("unittest.TestCase").replace("test_it", "make_rows")
    assert not functions("python", "a", text.encode()).functions[0].in_tests


@pytest.mark.parametrize(
    ("language", "name", "code", "special"),
    [
        ("python", "__repr__", "def __repr__(self):", True),
        ("python", "A.__init__", "def __init__(self, a):", True),
        ("python", "__getitem__", "def __getitem__(self, key):", True),
        ("python", "__rich_console__", "def __rich_console__(self, console):", False),
        ("python", "__private", "def __private(self):", False),
        ("python", "repr", "def repr(self):", False),
        ("python", "toString", "def toString(self):", False),
        ("java", "toString", "@Override\npublic String toString() {", True),
        ("java", "toString", "public static String toString(Object o, Style s) {", False),
        ("java", "toString", "public String toString(final Style style) {", False),
        ("java", "toStringList", "public List toStringList() {", False),
        ("java", "equals", "public boolean equals(final Object other) {", True),
        ("java", "equals", "public boolean equals(Range<? super T> other) {", False),
        ("java", "equals", "public static boolean equals(Object a, Object b) {", False),
        ("java", "hashCode", "public int hashCode() {", True),
        ("java", "hashCode", "public static int hashCode(Object[] array) {", False),
        ("java", "clone", "protected Object clone() throws E {", True),
        ("java", "clone", "public static int[] clone(final int[] array) {", False),
        ("java", "compareTo", "public int compareTo(Map<String, T> other) {", True),
        ("java", "compareTo", "int compareTo(T a, T b) {", False),
        ("javascript", "constructor", "constructor(a, b) {", True),
        ("javascript", "toString", "toString() {", True),
        ("javascript", "toString", "toString: function () {", True),
        ("javascript", "toString", "Color.prototype.toString = function () {", True),
        ("javascript", "toString", "function toString(value) {", False),
        ("javascript", "toString", "function toString() {", False),
        ("javascript", "toString", "const toString = () => {", False),
        ("javascript", "toString", "toString(radix) {", False),
        ("javascript", "toString", "static toString() {", False),
        ("javascript", "toJSON", "toJSON(key) {", True),
        ("typescript", "toString", "public override toString(): string {", True),
        ("typescript", "valueOf", "valueOf(unit: Unit = Unit.ms): number {", False),
        ("typescript", "constructor", "constructor(private readonly a: Map<K, V>) {", True),
        ("php", "__construct", "public function __construct(array $a = [1, 2]) {", True),
        ("php", "__get", "public function &__get($name) {", True),
        ("php", "__get", "public function __get($name, $default) {", False),
        ("php", "__call", "public function __call(string $m, array $p) {", True),
        ("php", "__call", "public static function __call($m, $p) {", False),
        ("php", "__callStatic", "public static function __callStatic($m, $p) {", True),
        ("php", "__translate", "function __translate($text) {", False),
        ("ruby", "initialize", "def initialize(name, rows = [])\nend", True),
        ("ruby", "<=>", "def <=>(other)\nend", True),
        ("ruby", "<=>", "def <=> other\nend", True),
        ("ruby", "<=>", "def self.<=>(other)\nend", False),
        ("ruby", "hash", "def hash\nend", True),
        ("ruby", "hash", "def hash = [a, b].hash", True),
        ("ruby", "hash", "def hash(key)\nend", False),
        ("ruby", "hash", "def self.hash\nend", False),
        ("ruby", "inspect", "private def inspect\nend", True),
        ("ruby", "to_s", "def to_s(format = :long)\nend", False),
        ("ruby", "method_missing", "def method_missing(name, *arguments, &block)\nend", True),
        ("go", "String", "func (s *Stack) String() string {", True),
        ("go", "String", "func String(value *string) string {", False),
        ("go", "String", "func (c *Context) String(code int, format string) {", False),
        ("go", "Error", "func (msg Error) Error() string {", True),
        ("go", "Error", "func (c *Context) Error(err error) *Error {", False),
        ("go", "Error", "func (e *Entry) Error() *Entry {", False),
        ("go", "init", "func init() {", True),
        ("go", "init", "func (c *Client) init() {", False),
        ("rust", "to_string", "pub fn to_string(&self) -> String {", False),
    ],
)
def test_special_methods(language: str, name: str, code: str, special: bool) -> None:
    assert is_special(name, language, code) is special


def test_a_name_that_is_not_in_the_code_is_judged_alone() -> None:
    assert is_special("toString", "javascript", "['to' + 'String']() {")
    assert is_special("toString", "javascript", "toString = x => {") is False


def test_hostile_headers_are_read_in_linear_time() -> None:
    start = time.process_time()
    for code in ("toString" * 100_000, "toString(" * 100_000, "@Test" * 100_000, "(" * 400_000):
        is_special("toString", "java", code)
        is_test("testX", "java", code, known=False)
        is_test("test_x", "ruby", code, known=False)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("language", "name", "code", "test"),
    [
        ("csharp", "Adds", "[Fact]\npublic void Adds() { Assert.True(f()); }", True),
        ("csharp", "Adds", "[TestCase(1, 2)]\npublic void Adds(int a) { }", True),
        ("csharp", "Adds", "public void Adds() { var a = b[Test]; }", False),
        ("kotlin", "adds", "@Test\nfun adds() { f() }", True),
        ("scala", "adds", "@Test def adds() = f()", True),
        ("swift", "testAdds", "func testAdds() { XCTAssertEqual(f(), 2) }", True),
        ("swift", "testAdds", "func testAdds() -> Bool { return f() }", False),
        ("cpp", "TEST_F", "TEST_F(Sum, Adds) { EXPECT_EQ(f(), 2); }", True),
        ("c", "test_sum", "void test_sum(void) { assert(sum() == 2); }", True),
        ("c", "test_bit", "int test_bit(int n) { return bits >> n & 1; }", False),
    ],
)
def test_tests_of_the_c_family_and_its_kin(language: str, name: str, code: str, test: bool) -> None:
    assert is_test(name, language, code, known=False) is test


@pytest.mark.parametrize(
    ("language", "name", "code", "special"),
    [
        ("csharp", "ToString", "public override string ToString() => name;", True),
        ("csharp", "ToString", "public string ToString(string format) { }", False),
        ("kotlin", "equals", "override fun equals(other: Any?): Boolean = other is A", True),
        ("scala", "toString", 'override def toString: String = s("a")', True),
        ("scala", "hashCode", "def hashCode(seed: Int): Int = seed", False),
        ("swift", "hash", "func hash(into hasher: inout Hasher) { }", True),
        ("swift", "hash", "func hash(of path: String) -> Int { }", False),
        ("swift", "==", "static func == (left: A, right: A) -> Bool { }", True),
    ],
)
def test_what_the_c_family_and_its_kin_call(
    language: str, name: str, code: str, special: bool
) -> None:
    assert is_special(name, language, code) is special
