/* Copyright. */

/** Repeats the text so many times. */

extension (text: String)
  def repeated(times: Int): String = text * times + text.length

  /** Is the text a palindrome? */
  def isPalindrome: Boolean =
    val letters = text.filter(_.isLetter)
    letters == letters.reverse

given ordering: Ordering[Int] with
  /** Compares two numbers by size. */
  def compare(left: Int, right: Int): Int = left - right
