@file:JvmName("Caches")

package cache

/** A cache. */
class Cache<K : Any>(private val size: Int) : Store<K>() {
    /**
     * Makes a cache of the entries of [other].
     */
    constructor(other: Cache<K>) : this(other.size) {
        putAll(other)
    }

    /**
     * Returns the entry of [key], or `null` where there is none.
     *
     * @param key the key
     */
    @Throws(IOException::class)
    override suspend fun get(key: K): Entry? {
        fun local(): Int = size + 1
        return entries[key]?.takeIf { it.age < local() }
    }

    val free: Int
        get() = size - entries.size

    companion object {
        /** Reads a cache from a file. */
        @JvmStatic
        fun read(path: String): Cache<String> = Cache(File(path).length().toInt())
    }
}

/** Is declared only. */
expect fun now(): Long

private fun trim(text: String) = text.trim().removePrefix("-")
