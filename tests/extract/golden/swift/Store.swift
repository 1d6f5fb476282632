import Foundation

/// A store.
public final class Store<Key: Hashable>: Base, Sendable {
    /// Creates a store at `path`.
    ///
    /// - Parameter path: Where it lies.
    public init?(path: String, size: Int = 1) throws {
        guard size > 0 else { return nil }
        self.path = path
    }

    deinit { close(file) }

    /// Returns the value of ``Key``, or `nil`.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - fallback: What is returned without one.
    /// - Returns: The value.
    @discardableResult
    public func value<T>(for key: Key, or fallback: T) async throws -> T where T: Codable {
        func decode(_ data: Data) throws -> T { try decoder.decode(T.self, from: data) }
        return try decode(read(key))
    }

    /** Compares two stores. */
    static func == (left: Store, right: Store) -> Bool {
        return left.path == right.path && left.size == right.size
    }

    var count: Int { return keys.count }

    subscript(index: Int) -> Key { return keys[index] }
}
