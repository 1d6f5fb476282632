trait Reader {
    /// Reads a byte; no body.
    fn read(&mut self) -> u8;

    /// Reads two bytes.
    fn read_two(&mut self) -> (u8, u8) {
        (self.read(), self.read())
    }
}

/**
 * Parses a number.
 * Fails on letters.
 */
pub(crate) const fn parse<const N: usize>(text: &str) -> Result<u32, Error>
where
    Error: Sized,
{
    /// Inner helper.
    fn digit(c: u8) -> u32 {
        (c - b'0') as u32
    }
    Ok(digit(text.as_bytes()[0]))
}

/// Keeps all lines,
// SAFETY: checked by the caller
/// whatever stands between.
pub extern "C" fn raw(p: *const u8) -> u8 {
    unsafe { *p }
}
