//! Module documentation belongs to no function.

/// A queue.
pub struct Queue<T> {
    items: Vec<T>, /// trailing
}

impl<T> Queue<T> {
    /// Creates an empty queue.
    ///
    /// # Examples
    /// ```
    /// let q = Queue::<u8>::new();
    /// ```
    #[inline]
    #[must_use]
    pub fn new() -> Self {
        Queue { items: Vec::new() }
    }

    #[doc = " Adds an \"item\" at the end."]
    pub async fn push(&mut self, item: T) {
        self.items.push(item);
    }

    #[cfg(test)]
    /// Documentation between attributes.
    #[allow(dead_code)]
    pub unsafe fn between(&self) -> usize {
        self.items.len()
    }

    // A plain comment.
    fn plain(&self) {}

    //// Four slashes are no documentation.
    fn four(&self) {}

    /// Detached.

    fn detached(&self) {}
}
