//! Bytes for the tests: all that is short, and pseudo-random bytes that are the same in every run.

/// Gives `check` each byte string of at most 2 bytes and 20,000 longer ones.
pub(crate) fn run(seeds: &[&[u8]], check: fn(&[u8])) {
    check(&[]);
    for first in 0..=u8::MAX {
        check(&[first]);
        for second in 0..=u8::MAX {
            check(&[first, second]);
        }
    }
    for seed in seeds {
        check(seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        check(&random.bytes(seeds));
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    /// Some seeds one after the other, with some bytes changed.
    fn bytes(&mut self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.next(8)).map(|_| self.next(256) as u8).collect();
        for _ in 0..self.next(4) {
            bytes.extend_from_slice(seeds[self.next(seeds.len())]);
        }
        for _ in 0..self.next(4).min(bytes.len()) {
            let place = self.next(bytes.len());
            bytes[place] = self.next(256) as u8;
        }
        bytes
    }
}
