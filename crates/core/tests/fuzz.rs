//! A short run of every fuzz target, without the fuzzer: `make fuzz` is the long one.

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic;
use std::path::Path;

// Miri takes a thousand times as long.
const INPUTS: usize = if cfg!(miri) { 10 } else { 3000 };
const MAX_LEN: usize = 1500;
const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");

/// What `make fuzz` has found, and what leads it to the interesting places.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(Path::new(FUZZ).join("seeds").join(target)).expect("every target has seeds");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn bytes(&mut self) -> Vec<u8> {
        // Short ones are as likely as long ones.
        let magnitude = 1 + self.below(MAX_LEN);
        (0..self.below(magnitude)).map(|_| self.next() as u8).collect()
    }

    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 => drop(bytes.splice(at..at, self.bytes())),
                3 => bytes.extend_from_slice(&seeds[self.below(seeds.len())]),
                _ if at == bytes.len() => bytes.push([0, 0x7f, 0x80, 0xff][self.below(4)]),
                4 => bytes[at] ^= 1 << self.below(8),
                _ => bytes[at] = self.next() as u8,
            }
        }
        bytes
    }
}

fn run(target: &str) {
    let (_, check) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target of that name");
    let seeds = seeds(target);
    let mut random = Random(target.bytes().map(u64::from).sum());
    let mutated = |number| if number % 2 == 0 { random.bytes() } else { random.mutated(&seeds) };
    for input in seeds.iter().cloned().chain((0..INPUTS).map(mutated)) {
        if let Err(cause) = panic::catch_unwind(|| check(&input)) {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-found"));
            fs::write(&kept, &input).unwrap();
            eprintln!("the input is in {}", kept.display());
            panic::resume_unwind(cause);
        }
    }
}

macro_rules! short_runs {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            run(stringify!($target));
        })*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!(targets::TARGETS.map(|(name, _)| name), [$(stringify!($target)),*]);
            let in_manifest = fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).unwrap();
            $(assert!(in_manifest.contains(concat!("name = \"", stringify!($target), "\"")));)*
        }
    };
}

short_runs!(http_answer grpc_answer attributes spans log_records metrics measurements json propagation);
