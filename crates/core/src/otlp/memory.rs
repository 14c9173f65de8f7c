//! Memory for what may be large, where the lack of it must cost that thing alone and not the process.

use std::collections::TryReserveError;
use std::fmt;
use std::io;

/// The system gives no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is not enough memory")
    }
}

impl From<TryReserveError> for OutOfMemory {
    fn from(_error: TryReserveError) -> Self {
        Self
    }
}

/// Makes room for `len` more bytes, and for more than that if it is to be had, so that a growing buffer is seldom moved.
#[inline]
pub fn make_room(out: &mut Vec<u8>, len: usize) -> Result<(), OutOfMemory> {
    if out.capacity() - out.len() < len {
        out.try_reserve(len).or_else(|_| out.try_reserve_exact(len))?;
    }
    Ok(())
}

/// A buffer to write to, which fails where a `Vec` would end the process.
pub struct Output(pub Vec<u8>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        make_room(&mut self.0, bytes.len()).map_err(|OutOfMemory| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let mut out = vec![1, 2, 3];
        assert_eq!(make_room(&mut out, isize::MAX as usize), Err(OutOfMemory));
        assert_eq!(make_room(&mut out, usize::MAX), Err(OutOfMemory));
        assert_eq!((make_room(&mut out, 1000), out.as_slice()), (Ok(()), &[1, 2, 3][..]));
        assert!(out.capacity() >= 1003);
    }

    #[test]
    fn what_is_written_is_there() {
        let mut output = Output(vec![1]);
        output.write_all(&[2; 100_000]).unwrap();
        assert_eq!((output.0.len(), output.0[100_000]), (100_001, 2));
    }
}
