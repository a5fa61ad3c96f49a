//! Bytes that nobody can guess: tokens of embedded schedulers, keys of submits.

use std::fs::File;
use std::io::{self, Read as _};

/// 32 hexadecimal digits from the kernel.
pub(crate) fn hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_never_alike() {
        assert_eq!(hex().unwrap().len(), 32);
        assert_ne!(hex().unwrap(), hex().unwrap());
    }
}
