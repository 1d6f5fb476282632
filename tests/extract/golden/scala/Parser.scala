package parse

import scala.util.{Try, Success}

/** A parser. */
class Parser[A](input: String) extends Base with Logging {
  /** Makes a parser of characters. */
  def this(chars: Array[Char]) = { this(new String(chars)); reset() }

  /**
   * Parses the input with [[Grammar]] and returns the '''first''' tree.
   *
   * @param strict whether errors are thrown
   */
  @throws[ParseError]
  override def parse(strict: Boolean)(implicit grammar: Grammar): Option[Tree] = {
    def loop(at: Int): Option[Tree] = if (at < input.length) step(at) else None
    loop(0)
  }

  /** The rest of the input. */
  final def rest: String = input.substring(position)

  /** Is declared only. */
  def grammar(): Grammar

  def +(other: Parser[A]): Parser[A] = new Parser(input + other.input)
}

object Parser {
  // A line comment.
  private[parse] def empty[A]: Parser[A] = new Parser[A]("")

  /** Reads a file, {{{Parser.read("a")}}}. */
  def read(path: String): Parser[Char] =
    val text = scala.io.Source.fromFile(path).mkString
    Parser(text)
}
