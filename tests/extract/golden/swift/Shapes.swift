protocol Shape {
    /// Is declared only.
    func area() -> Double
}

extension Shape {
    /**
     Scales the shape.

     - Returns: A *new* shape.
     */
    mutating func scale(by factor: Double) -> Self {
        let text = """
        a "quoted" } text
        """
        return scaled(factor, text)
    }

    // Plain.
    func describe() -> String { "a shape of \(area()) metres" }

    /// Draws the shape.
    #if os(macOS)
    func draw() { context.fill(path) }
    #endif
}
