/* Plain comment. */
fun plain(a: Int): Int = a * 2

/** Splits the text at *every* [separator]. */

inline fun <reified T> List<T>.splitAt(separator: T, crossinline done: (T) -> Unit): List<List<T>> {
    val text = """a "quoted" } text"""
    return fold(emptyList()) { lists, item -> lists + listOf(listOf(item)) }
}

infix fun Int.`to the`(power: Int): Int {
    return (1..power).fold(1) { product, _ -> product * this }
}
