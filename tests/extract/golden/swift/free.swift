/* Plain. */
func plain() -> Int { return 1 + 2 }

/// Adds two vectors.
@inlinable
public func + <T: Numeric>(left: Vector<T>, right: Vector<T>) -> Vector<T> {
    return Vector(zip(left, right).map { $0 + $1 })
}

/// Waits for the queue; fails always.
func wait() -> Never {
    fatalError("not implemented")
}
